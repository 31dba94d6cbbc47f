"""A callback that writes down what it is told."""

from dataclasses import dataclass, field


@dataclass
class Recorder:
    """Writes down every hook; may ask for an end after a task of some name."""

    stop_after: str = ""
    events: list = field(default_factory=list)
    models: list = field(default_factory=list)
    data: list = field(default_factory=list)

    def setup(self, estimator, context):
        self.events.append(("setup", context.task_name))

    def teardown(self, estimator, context):
        self.events.append(("teardown", context.task_name))

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None):
        self.events.append(("begin", context.task_name))
        self.data.append((X, y, metadata))

    def on_fit_task_end(self, estimator, context, *, X=None, metadata=None, fitted_estimator=None):
        self.events.append(("end", context.task_name))
        self.models.append((context.task_name, fitted_estimator))
        return context.task_name == self.stop_after

    def of(self, task):
        return [model for name, model in self.models if name == task]
