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
PROJECT = Path(__file__).parents[1]
MODULES = {
    ".".join(("sklearn_lvm", *path.relative_to(ROOT).with_suffix("").parts)): path
    for path in sorted(ROOT.rglob("*.py"))
}
HEAVY = ["sklearn", "torch", "scipy", "pandas", "polars", "joblib", "numpy", "matplotlib"]
MAX_LINES = 400

# What the modules of a package may import, besides the standard library, numpy and the types.
ARROWS = {
    "core": {"scipy", "core"},
    "inference": {"scipy", "threadpoolctl", "inference"},
    "fitting": {"scipy", "sklearn", "fitting", "core", "inference"},
    "neural": {"torch", "neural"},
    "estimators": {
        "scipy",
        "sklearn",
        "_compat",
        "estimators",
        "fitting",
        "core",
        "inference",
        "neural",
    },
    "compare": {"sklearn", "joblib", "pandas", "matplotlib", "skops", "compare", "estimators"},
    "selection": {"sklearn", "pandas", "selection", "estimators"},
}
# Where that is narrower within a package.
NARROWER = {
    "core.mixture": set(),
    "core.mixture_em": {"core.mixture"},
    "core.product": set(),
    "core.gaussian": {"scipy", "core.gaussian"},
    "core.bernoulli": {"scipy", "core.bernoulli"},
    "core.exponential": {"scipy", "core.exponential"},
    "core.factor": {"scipy", "core.factor", "core.gaussian"},
}
SHARED_BY_THE_CORE = {
    f"core.{name}"
    for name in (
        "blocks",
        "conditionals",
        "family",
        "linalg",
        "log_gamma",
        "mixture",
        "rows",
        "standardization",
    )
}


def absolute(module, node):
    """The dotted names that an import statement in a module asks for."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    base = node.module or ""
    if node.level:
        parts = module.split(".")[: -node.level]
        base = ".".join([*parts, *filter(None, [base])])
    return [f"{base}.{alias.name}" for alias in node.names]


def tree(module):
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def imports(module):
    """Every name that a module imports: at its top, inside its functions or for its types alone."""
    nodes = [n for n in ast.walk(tree(module)) if isinstance(n, ast.Import | ast.ImportFrom)]
    return [name for node in nodes for name in absolute(module, node)]


def inside(name, *packages):
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def within(package):
    return [module for module in MODULES if inside(module, f"sklearn_lvm.{package}")]


def outsiders(package, allowed):
    """What the modules of a package import that they should not."""
    own = {p.split(".")[0] for p in ARROWS} | {"_compat"}
    allowed = {f"sklearn_lvm.{p}" if p.split(".")[0] in own else p for p in allowed}
    allowed |= {"numpy", "sklearn_lvm._typing", *sys.stdlib_module_names}
    return [
        (module, name)
        for module in within(package)
        for name in imports(module)
        if not inside(name, *allowed)
    ]


def test_imports_are_found():
    """Else the tests below would find nothing to object to."""
    assert len(MODULES) > 60
    assert "numpy" in imports("sklearn_lvm.core.gaussian.moments")
    assert "sklearn_lvm.core.blocks.row_slices" in imports("sklearn_lvm.core.factor.centered_rows")
    assert "sklearn_lvm.inference.em.EMRun" in imports("sklearn_lvm.fitting.mixture")
    assert "sklearn.cluster.KMeans" in imports("sklearn_lvm.fitting.starts")
    assert all(within(package) for package in ARROWS | NARROWER)
    assert ("sklearn_lvm.fitting.starts", "sklearn.cluster.KMeans") in outsiders("fitting", set())


@pytest.mark.parametrize("package", ARROWS)
def test_a_package_imports_what_stands_below_it(package):
    assert outsiders(package, ARROWS[package]) == []


@pytest.mark.parametrize("package", NARROWER)
def test_models_do_not_know_each_other(package):
    assert outsiders(package, NARROWER[package] | SHARED_BY_THE_CORE) == []


def test_only_the_face_is_imported_from_the_face():
    """Modules import each other; the names at the top are for users, and for the command line."""
    found = {
        module
        for module in MODULES
        for name in imports(module)
        if name in {f"sklearn_lvm.{public}" for public in sklearn_lvm.__all__}
    }
    assert found <= {"sklearn_lvm.__main__"}


def circles():
    """Modules that import themselves in the end, types included."""
    graph = {module: set() for module in MODULES}
    for module in MODULES:
        for name in imports(module):
            known = [m for m in (name, name.rpartition(".")[0]) if m in MODULES]
            graph[module].update(known[:1])
    while leaves := {module for module in graph if not graph[module] & graph.keys()}:
        graph = {module: graph[module] for module in graph.keys() - leaves}
    return sorted(graph)


def test_no_module_imports_itself_in_the_end():
    assert circles() == []


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_read_in_one_sitting(module):
    assert len(MODULES[module].read_text(encoding="utf-8").splitlines()) <= MAX_LINES


def any_annotations(*packages):
    return [
        f"{module}:{node.lineno}"
        for package in packages
        for module in within(package)
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Name) and node.id == "Any"
    ]


def test_types_say_what_is_known():
    assert any_annotations("core", "inference", "fitting") == []
    assert len(any_annotations("estimators")) <= 60


def test_the_map_names_every_module_once():
    text = (PROJECT / "docs" / "contributing.rst").read_text(encoding="utf-8")
    listed = re.findall(r"^   \* - ``(.+)``$", text, re.M)
    paths = [path.relative_to(ROOT).as_posix() for path in MODULES.values()]
    assert listed == [path for path in listed if path in paths]
    assert sorted(listed) == sorted(path for path in paths if not path.endswith("__init__.py"))


def test_no_test_module_imports_another():
    found = [
        (path.name, name)
        for path in (PROJECT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
        for name in [node.module or "", *(alias.name for alias in node.names)]
        if name.rpartition(".")[2].startswith("test_")
    ]
    assert found == []


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


def test_torch_stands_in_one_package():
    found = {m for m in MODULES for name in imports(m) if inside(name, "torch")}
    assert found <= set(within("neural"))
    assert len(found) >= 5


def test_one_estimator_reaches_the_neural_package():
    outside = set(MODULES) - set(within("neural"))
    found = {m for m in outside for name in imports(m) if inside(name, "sklearn_lvm.neural")}
    assert found == {"sklearn_lvm.estimators.vae"}


# -- names -------------------------------------------------------------------------------------------

# Words that named things by a metaphor, or in a second spelling. A name is split at its underscores
# and capitals, so that `leap` is found in `leap_size` and `BigLeap`, but not in `leapt`.
RETIRED = {
    "lens", "lenses", "climb", "climbs", "climbed", "climbing", "summit", "leap", "leaps",
    "walker", "walk", "walks", "walked", "toss", "tosses", "tossed", "hole", "holes", "tilt",
    "blur", "balls", "sketch", "sketched", "keeper", "upright", "grain", "strike", "strikes", "watched",
    "glance", "amplification", "tilted", "sketches",
    "dequantise", "dequantised", "standardise", "standardised", "standardises", "standardising",
    "colour", "coloured", "colouring", "centre", "centres", "centred", "regularise",
    "regularised", "maximise", "maximised", "maximises", "minimise", "minimised", "normalise",
    "normalised", "initialise", "initialised", "optimise", "optimised", "binarise", "binarised",
    "neighbour", "neighbours", "neighbouring", "labelled", "modelled", "grey",
}  # fmt: skip


# Names that are retired as a whole: their words have honest meanings elsewhere.
RETIRED_NAMES = {
    "Frame", "Densities", "Climb", "best_of", "Watcher", "Data", "Terrain", "Point", "Leaps", "Reach",
    "Secants", "Slope", "SketchSteps", "RoughData", "DRAFT", "Stream", "Loadings", "Latent", "Factor",
    "FactorLens", "Patterns", "Coins", "Betas", "long_side", "_adopt", "_settle", "_lack", "_notice",
    "Recipe", "Plan", "CALM", "GENTLE", "SILENT", "ENDLESS", "ROOM", "SURPRISE", "ROUNDING", "WATCHED",
}  # fmt: skip


def words(name):
    return re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)


def identifiers(module):
    for node in ast.walk(tree(module)):
        for field in ("id", "attr", "arg", "name", "asname"):
            if isinstance(found := getattr(node, field, None), str):
                yield found


def texts(module):
    """Docstrings, messages and all other strings."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@pytest.mark.parametrize("module", MODULES)
def test_names_are_the_terms_of_the_field(module):
    names = set(identifiers(module))
    found = {word.lower() for text in [*names, *texts(module)] for word in words(text)}
    assert found & RETIRED == set()
    assert names & RETIRED_NAMES == set()


# -- imports -----------------------------------------------------------------------------------------


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
    assert "sklearn_lvm.estimators.vae" in outside
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
