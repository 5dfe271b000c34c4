from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pytest
from pydantic import Field

import bench.plugins as plugins
from bench import Pool, Recipe, need, register_dataset, register_encoder, register_method, register_model
from bench.errors import RegistrationError, SpecError, UnknownName
from bench.registry import Entry, Registry

if TYPE_CHECKING:
    from fractions import Fraction


@pytest.fixture
def registry() -> Registry[Any]:
    """A registry of this test's own, whose built-in plugins are the project's models."""
    return Registry("model", "bench.models", "bench.tests.none", ("shape", "num_classes"))


@pytest.fixture
def temporary_method() -> Iterator[str]:
    yield "only-in-this-test"
    plugins.methods.remove("only-in-this-test")


def plain(shape: Any, num_classes: Any) -> None:
    """Plain."""


def without_docstring(shape: Any, num_classes: Any) -> None: ...


def positional_parameter(shape: Any, num_classes: Any, width: int = 3) -> None:
    """Width is not keyword-only."""


def no_default(shape: Any, num_classes: Any, *, width: int) -> None:
    """Width has no default."""


def other_order(num_classes: Any, shape: Any) -> None:
    """Wrong order."""


def open_keywords(shape: Any, num_classes: Any, **rest: Any) -> None:
    """Takes anything."""


def hidden_annotation(shape: Any, num_classes: Any, *, width: Fraction | None = None) -> None:
    """The annotation is not importable at run time."""


@pytest.mark.parametrize(
    ("name", "function", "says"),
    [
        ("Plain", plain, "lower-case letters"),
        ("", plain, "lower-case letters"),
        ("-plain", plain, "lower-case letters"),
        ("two words", plain, "lower-case letters"),
        ("newline\n", plain, "lower-case letters"),
        ("plain", without_docstring, "needs a docstring"),
        ("plain", positional_parameter, "keyword-only"),
        ("plain", no_default, "'width' needs a default"),
        ("plain", other_order, r"must be (shape, num_classes), got (num_classes, shape)"),
        ("plain", open_keywords, "got (shape, num_classes, rest)"),
        ("plain", hidden_annotation, "name 'Fraction' is not defined"),
    ],
)
def test_a_bad_plugin_is_refused_where_it_is_registered(
    registry: Registry[Any], name: str, function: Callable[..., Any], says: str
) -> None:
    with pytest.raises(RegistrationError) as caught:
        registry.add(name, function, None)
    assert says in str(caught.value)
    assert f"model {name!r}" in str(caught.value)
    assert function.__qualname__ in str(caught.value)


def test_a_clash_names_both_origins(registry: Registry[Any]) -> None:
    registry.add("same", plain, None)
    registry.add("same", plain, None)
    with pytest.raises(RegistrationError) as caught:
        registry.add("same", lambda_with_docstring(), None)
    assert f"{__name__}.plain" in str(caught.value)
    assert "lambda_with_docstring" in str(caught.value)
    assert registry.get("same").function is plain


def lambda_with_docstring() -> Callable[..., Any]:
    def other(shape: Any, num_classes: Any) -> None:
        """Another plugin."""

    return other


def test_a_need_that_is_no_list_is_shown_as_one() -> None:
    with pytest.raises(RegistrationError, match=r"needs='images' is not valid: .* such as needs=\('images',\)\.$"):
        plugins.register_method("one-need", supervision="none", needs="images")


def test_an_unknown_name_gets_the_nearest_ones() -> None:
    with pytest.raises(
        UnknownName, match=r"unknown method 'prototypicalty'\. Did you mean prototypicality\? Valid: aum"
    ):
        plugins.methods.get("prototypicalty")
    with pytest.raises(UnknownName) as caught:
        plugins.methods.get("zzzzzz")
    assert "Did you mean" not in str(caught.value)


def test_an_unknown_name_may_be_in_a_plugin_file_that_was_forgotten() -> None:
    with pytest.raises(
        UnknownName, match=r" If a file of yours registers it, give --plugin FILE \(in Python: bench\.load_plugin\)\.$"
    ):
        plugins.datasets.get("stripes")


@pytest.mark.parametrize(
    ("given", "near"),
    [("dunno", None), ("css", "ccs"), ("ELFS", "elfs"), ("forgeting", "forgetting"), ("kcentre", "kcenter")],
)
def test_only_names_that_look_alike_are_offered(given: str, near: str | None) -> None:
    with pytest.raises(UnknownName) as caught:
        plugins.methods.get(given)
    assert re.findall(r"Did you mean (.*?)\? Valid", str(caught.value)) == ([near] if near else [])


def test_discovery_finds_every_built_in_plugin_once_and_sorted() -> None:
    for registry in (plugins.methods, plugins.datasets, plugins.encoders, plugins.models):
        names = [entry.name for entry in registry]
        assert names == sorted(set(names))
        assert names
        assert all(entry.summary.endswith(".") for entry in registry)


def test_a_module_that_does_not_import_is_named_and_takes_no_other_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    package = tmp_path / "half_broken_plugins"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "broken.py").write_text("raise ValueError('cannot start')\n")
    (package / "sound.py").write_text("started = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    registry: Registry[Any] = Registry("method", "half_broken_plugins", "bench.tests.none", ())
    assert list(registry) == []
    assert sys.modules["half_broken_plugins.sound"].started
    said = "the module half_broken_plugins.broken cannot be loaded: cannot start"
    assert said in caplog.text
    with pytest.raises(UnknownName, match=said):
        registry.get("mine")


def test_a_wrong_registration_fails_at_every_look_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "wrong_plugins"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "wrong.py").write_text("from bench.errors import RegistrationError\nraise RegistrationError('no')\n")
    monkeypatch.syspath_prepend(tmp_path)
    registry: Registry[Any] = Registry("method", "wrong_plugins", "bench.tests.none", ())
    for _ in range(2):
        with pytest.raises(RegistrationError, match=r"the module wrong_plugins.wrong cannot be loaded: no"):
            list(registry)


def parameters() -> Entry[Any]:
    def function(
        shape: Any,
        num_classes: Any,
        *,
        beta: Annotated[float, Field(ge=0, lt=1)] | Literal["auto"] = "auto",
        strata: Annotated[int, Field(ge=1)] = 50,
        keep: Literal["hard", "easy"] = "hard",
    ) -> None:
        """Three parameters."""

    registry: Registry[Any] = Registry("model", "bench.models", "bench.tests.none", ("shape", "num_classes"))
    registry.add("three", function, None)
    return registry.get("three")


@pytest.mark.parametrize("beta", [0, 0.0, 0.999, "0.5", "auto"])
def test_values_in_the_declared_range_are_converted(beta: Any) -> None:
    resolved = parameters().resolve({"beta": beta})
    assert resolved == {"beta": "auto" if beta == "auto" else float(beta), "strata": 50, "keep": "hard"}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"beta": 1}, "a number, at least 0 and below 1, or auto."),
        ({"beta": -0.1}, "a number, at least 0 and below 1, or auto."),
        ({"beta": float("nan")}, "a number, at least 0 and below 1, or auto."),
        ({"beta": "atuo"}, "a number, at least 0 and below 1, or auto. Did you mean auto?"),
        ({"strata": 0}, "a whole number from 1 on."),
        ({"strata": 2.5}, "a whole number from 1 on."),
        ({"strata": "many"}, "a whole number from 1 on."),
        ({"strata": None}, "a whole number from 1 on."),
        ({"strata": True}, "a whole number from 1 on."),
        ({"keep": "har"}, "hard or easy. Did you mean hard?"),
    ],
)
def test_values_outside_the_declared_range_are_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(SpecError) as caught:
        parameters().resolve(given)
    [name] = given
    assert str(caught.value) == f"model three: {name}={given[name]!r} is not valid: {says}"


def test_an_unknown_parameter_gets_the_nearest_one() -> None:
    with pytest.raises(UnknownName, match=r"parameter of model 'three': 'stratta'\. Did you mean strata"):
        parameters().resolve({"stratta": 3})


def test_only_what_differs_from_the_default_counts_as_changed() -> None:
    assert parameters().changed({"beta": "auto", "strata": "50", "keep": "easy"}) == {"keep": "easy"}


def test_a_method_declares_valid_supervision_and_needs(temporary_method: str) -> None:
    with pytest.raises(RegistrationError, match="supervision must be one of none, pseudo, coreset, labels, got 'some'"):
        register_method(temporary_method, supervision="some")  # type: ignore[arg-type]
    with pytest.raises(RegistrationError, match=r"got 'psuedo'\. Did you mean pseudo\?$"):
        register_method(temporary_method, supervision="psuedo")  # type: ignore[arg-type]
    with pytest.raises(RegistrationError, match="cannot need 'gradients'; valid: images, embeddings"):
        register_method(temporary_method, supervision="none", needs=("gradients",))

    with pytest.raises(RegistrationError, match="unpruned=True is for 'full'"):
        register_method(temporary_method, supervision="none", unpruned=True)

    @register_method(temporary_method, supervision="none", needs=("images", need("neighbors", k=5)))
    def first(pool: Pool, budget: int, rng: Any) -> Any:
        """Keep the first ones."""

    entry = plugins.methods.get(temporary_method)
    assert entry.function is first
    assert [(item.part, dict(item.options)) for item in entry.info.needs({})] == [
        ("images", {}),
        ("neighbors", {"k": 5}),
    ]


def test_other_declarations_are_checked_field_by_field() -> None:
    with pytest.raises(
        RegistrationError, match="model 'm': the declaration has no field input; fields: inputs, source"
    ):
        register_model("m", input="images", inputs="images", source="")(plain)
    with pytest.raises(RegistrationError, match="model 'm': inputs must be one of images, embeddings, got 'pixels'"):
        register_model("m", inputs="pixels", source="")(plain)
    with pytest.raises(RegistrationError, match="encoder 'e': supervision must be one of none, self-supervised"):
        register_encoder("e", supervision="some", source="")(plain)
    with pytest.raises(RegistrationError, match="dataset 'd': the declaration lacks num_classes, image_size"):
        register_dataset("d", recipe=Recipe(), model="small_cnn", encoder="pixels", source="")(plain)
