"""Who may import whom, what a bare import loads, and what every public name has."""

import ast
import importlib
import inspect
import json
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import sklearn_lvm

ROOT = Path(sklearn_lvm.__file__).parent
MODULES = {
    ".".join(("sklearn_lvm", *path.relative_to(ROOT).with_suffix("").parts)): path
    for path in sorted(ROOT.rglob("*.py"))
}
NUMERIC = {"numpy", "scipy"}
HEAVY = ["sklearn", "torch", "scipy", "pandas", "polars", "joblib", "numpy", "matplotlib"]


def absolute(module, node):
    """The dotted names that an import statement in a module asks for."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    base = node.module or ""
    if node.level:
        parts = module.split(".")
        package = parts if MODULES[module].name == "__init__.py" else parts[:-1]
        package = [part for part in package if part != "__init__"]
        base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [base])])
    return [f"{base}.{alias.name}" for alias in node.names]


def imports(module):
    """Every name that a module imports, at its top or inside its functions."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    return [name for node in nodes for name in absolute(module, node)]


def inside(name, *packages):
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def within(package):
    return [module for module in MODULES if inside(module, f"sklearn_lvm.{package}")]


def outsiders(package, *allowed):
    """What the modules of a wing import that they should not."""
    standard = set(sys.stdlib_module_names)
    return [
        (module, name)
        for module in within(package)
        for name in imports(module)
        if name.split(".")[0] not in standard and not inside(name, *allowed)
    ]


def test_the_walk_sees_the_imports():
    """Else the tests below would find nothing to object to."""
    assert len(MODULES) > 15
    assert "numpy" in imports("sklearn_lvm.core.moments")
    assert "sklearn_lvm.core.covariance.Structure" in imports("sklearn_lvm.core.moments")
    assert "sklearn_lvm._typing.Array" in imports("sklearn_lvm.core.moments")
    assert "sklearn_lvm.inference.em.EMRun" in imports("sklearn_lvm.mixture")
    assert "sklearn.cluster.KMeans" in imports("sklearn_lvm.fitting.starts")
    assert len(within("core")) >= 7
    assert len(within("inference")) >= 4
    assert outsiders("inference", *NUMERIC)


def test_the_core_knows_arrays_alone():
    assert outsiders("core", *NUMERIC, "sklearn_lvm.core", "sklearn_lvm._typing") == []


def test_inference_knows_no_model():
    allowed = (
        *NUMERIC,
        "threadpoolctl",
        "joblib",
        "sklearn.cluster",
        "sklearn.utils.parallel",
        "sklearn_lvm.inference",
        "sklearn_lvm._typing",
    )
    assert outsiders("inference", *allowed) == []


def private(name):
    """Whether a part of a dotted name is private, and not merely special."""
    return any(part.startswith("_") and not part.startswith("__") for part in name.split("."))


def test_private_names_of_scikit_learn_are_imported_in_one_place():
    found = {
        module
        for module in MODULES
        for name in imports(module)
        if inside(name, "sklearn") and private(name)
    }
    assert found == {"sklearn_lvm._compat"}


def test_experimental_callbacks_are_imported_in_one_place():
    found = {m for m in MODULES for name in imports(m) if inside(name, "sklearn.callback")}
    assert found == {"sklearn_lvm._compat"}


def test_torch_lives_in_one_wing():
    found = {m for m in MODULES for name in imports(m) if inside(name, "torch")}
    assert found <= set(within("neural"))
    assert len(found) >= 5


def test_the_neural_wing_knows_no_estimator():
    allowed = (*NUMERIC, "torch", "sklearn_lvm.neural", "sklearn_lvm._typing")
    assert outsiders("neural", *allowed) == []


def test_one_public_module_reaches_the_neural_wing():
    outside = set(MODULES) - set(within("neural"))
    found = {m for m in outside for name in imports(m) if inside(name, "sklearn_lvm.neural")}
    assert found == {"sklearn_lvm.vae"}


def loaded_by(statement):
    """Which of the heavy modules a fresh interpreter has after a statement."""
    listing = f"[name for name in {HEAVY} if name in sys.modules]"
    script = f"{statement}; import sys, json; print(json.dumps({listing}))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout))


def test_a_bare_import_loads_nothing():
    assert loaded_by("import sklearn_lvm; sklearn_lvm.__version__; dir(sklearn_lvm)") == set()


def test_a_name_loads_what_it_needs_when_it_is_touched():
    loaded = loaded_by("from sklearn_lvm import EMGaussianMixture")
    assert {"sklearn", "scipy", "numpy"} <= loaded
    assert not {"torch", "polars", "matplotlib"} & loaded


def test_torch_is_loaded_by_no_module_outside():
    outside = [module for module in MODULES if "__" not in module and ".neural" not in module]
    statements = "; ".join(f"import {module}" for module in outside)
    assert "sklearn_lvm.vae" in outside
    assert "torch" not in loaded_by(statements)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'GaussianMixture'"):
        sklearn_lvm.GaussianMixture  # noqa: B018


# -- public names ------------------------------------------------------------------------------------

every_public_name = pytest.mark.parametrize("name", sklearn_lvm.__all__)


def public_methods(thing):
    """Public methods that this package wrote."""
    for name, method in inspect.getmembers(thing, callable):
        home = getattr(inspect.unwrap(method), "__module__", "") or ""
        if not name.startswith("_") and home.startswith("sklearn_lvm"):
            yield name, method


def test_all_names_are_listed_once_and_sorted():
    assert sklearn_lvm.__all__ == sorted(set(sklearn_lvm.__all__))
    assert set(sklearn_lvm.__all__) <= set(dir(sklearn_lvm))


@every_public_name
def test_a_public_name_resolves_to_its_own_home(name):
    thing = getattr(sklearn_lvm, name)
    assert thing.__name__ == name
    assert importlib.import_module(thing.__module__).__dict__[name] is thing


def sections(thing):
    """The sections of a numpydoc docstring by their titles; what comes first is the summary."""
    parts = re.split(r"^(.+)\n-{3,}$", inspect.getdoc(thing) or "", flags=re.MULTILINE)
    return {"Summary": parts[0].strip()} | dict(zip(parts[1::2], parts[2::2], strict=True))


def described(thing):
    """The parameters that a docstring tells of, in order; ``a, b : type`` tells of two."""
    entries = re.findall(
        r"^(\*{0,2}\w[\w, *]*?)(?: :.*)?$", sections(thing).get("Parameters", ""), re.M
    )
    return [name.strip() for entry in entries for name in entry.split(",")]


def asked(thing):
    """The parameters that a signature asks for."""
    stars = {inspect.Parameter.VAR_KEYWORD: "**", inspect.Parameter.VAR_POSITIONAL: "*"}
    parameters = inspect.signature(thing).parameters.values()
    return [stars.get(p.kind, "") + p.name for p in parameters if p.name != "self"]


@every_public_name
def test_a_public_name_is_documented(name):
    thing = getattr(sklearn_lvm, name)
    found = sections(thing)
    assert found["Summary"]
    if inspect.isclass(thing) and (issubclass(thing, Exception) or not asked(thing)):
        return
    assert described(thing) == asked(thing)
    assert ">>>" in found["Examples"]


@every_public_name
def test_public_methods_are_documented(name):
    thing = getattr(sklearn_lvm, name)
    for method_name, method in public_methods(thing) if inspect.isclass(thing) else ():
        assert sections(method)["Summary"], method_name
        assert described(method) == asked(method), method_name


def test_the_version_is_that_of_the_installed_package():
    assert sklearn_lvm.__version__ == version("sklearn-lvm")
