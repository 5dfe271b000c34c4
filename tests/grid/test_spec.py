from __future__ import annotations

import csv
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.errors import SpecError, UnknownName
from bench.grammar import Call
from bench.grid.spec import GridSpec, load_spec, preset_names
from bench.plugins import methods
from bench.stages.training import Cell
from bench.training.fit import proxy_iterations
from tests.grid_fixtures import cells_of_preset


def write(folder: Path, text: str) -> Path:
    path = folder / "grid.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_command_line_beats_the_file_and_the_file_beats_the_preset(tmp_path: Path) -> None:
    preset = load_spec(preset="smoke", given={})
    config = write(tmp_path, "rates: [0.5, 0.7]\nseeds: 2\nrecipe: {iterations: 50, lr: 0.2}\n")
    spec = load_spec(preset="smoke", config=config, given={"rates": "0.8", "recipe": {"iterations": 9}, "scale": None})
    assert spec.rates == (0.8,)
    assert spec.seeds == (0, 1)
    assert spec.recipe == {"iterations": 9, "lr": 0.2, "proxy_epochs": preset.recipe["proxy_epochs"]}
    assert spec.methods == preset.methods
    assert spec.pool_size == preset.pool_size
    assert spec.scale == 1


@pytest.mark.parametrize(
    ("given", "seeds"),
    [
        ("3", (0, 1, 2)),
        (3, (0, 1, 2)),
        ("4,7", (4, 7)),
        ([4], (4,)),
        ("7,", (7,)),
        ("7, 7", (7,)),
        (np.arange(2), (0, 1)),
        (range(1, 3), (1, 2)),
    ],
)
def test_one_number_counts_seeds_and_a_list_names_them(given: Any, seeds: tuple[int, ...]) -> None:
    assert load_spec(given={"seeds": given}).seeds == seeds


def test_calls_and_rates_are_read_and_repetitions_dropped() -> None:
    spec = load_spec(given={"methods": "ccs(beta=0.3),ccs( beta = 0.3 ),full", "rates": "0.9,0.90,0"})
    assert spec.methods == (Call("ccs", {"beta": 0.3}), Call("full", {}))
    assert spec.rates == (0.9, 0.0)
    assert load_spec(given={"rates": np.array([0.5, 0.9])}).rates == (0.5, 0.9)
    assert load_spec(given={"proxy_model": "small_cnn"}).proxy_model == Call("small_cnn", {})


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"rates": "1.0"}, "the fraction of the pool that is removed, at least 0 and less than 1, got '1.0'."),
        ({"rates": "90"}, "the fraction of the pool that is removed, at least 0 and less than 1, got '90'"),
        ({"rates": "30,0.5,90"}, "if percent was meant, write 0.3,0.5,0.9."),
        ({"rates": "50%"}, "got '50%'; if percent was meant, write 0.5."),
        ({"rates": [70]}, "write 0.7."),
        ({"rates": "100"}, "less than 1, got '100'."),
        ({"rates": "150%"}, "must be numbers, got '150%'"),
        ({"rates": "-0.1"}, "at least 0 and less than 1, got '-0.1'."),
        ({"rates": "nan"}, "got 'nan'"),
        ({"rates": "half"}, "must be numbers, got 'half'"),
        ({"rates": ""}, "needs at least one value"),
        ({"rates": []}, "needs at least one value"),
        ({"seeds": "0"}, "one number is how many seeds to use, 1 to 1000, got 0"),
        ({"seeds": "-1"}, "got -1"),
        ({"seeds": "99999999999999999999"}, "1 to 1000"),
        ({"seeds": "1,-2"}, "-2 is not valid: a whole number from 0 on."),
        ({"seeds": "1.5"}, "must be whole numbers"),
        ({"seeds": True}, "must be whole numbers"),
        ({"seeds": ""}, "needs at least one value"),
        ({"seeds": []}, "needs at least one value"),
        ({"seeds": list(range(1001))}, "has 1,001 values; at most 1,000 are valid"),
        ({"rates": [number / 20_000 for number in range(20_000)]}, "has 20,000 values; at most 1,000 are valid"),
        ({"rates": "x," * 5000 + "x"}, "must be numbers, got 'x,x,"),
        ({"methods": ",".join(f"m{number}" for number in range(1001))}, "has 1,001 values"),
        ({"methods": ""}, "needs at least one value"),
        ({"methods": 3}, "expected a list of names, got 3"),
        ({"methods": "ccs,,elfs"}, "a comma too many?"),
        ({"datasets": []}, "needs at least one value"),
        ({"datasets": np.zeros((2, 2))}, "cannot read [0.0, 0.0]"),
        ({"pool_size": 0}, "0 is not valid: a whole number from 1 on."),
        ({"scale": 0}, "0 is not valid: a number, above 0 and at most 1."),
        ({"scale": 1.5}, "1.5 is not valid: a number, above 0 and at most 1."),
        ({"recipe": {"iteration": 3}}, "unknown field 'iteration'. Did you mean iterations"),
        ({"recipe": {"scale": 0.5}}, "unknown field 'scale'"),
        ({"recipe": [3]}, "[3] is not valid: a mapping."),
        ({"proxy_model": "resnet18("}, "cannot read 'resnet18('"),
    ],
)
def test_an_invalid_value_is_reported_with_its_field_and_where_it_was_set(given: dict[str, Any], says: str) -> None:
    [field] = given
    with pytest.raises(SpecError, match=r"^[^\n]+$") as caught:
        load_spec(given=given)
    assert str(caught.value).startswith(f"{field} (from the command line): ")
    assert says in str(caught.value)
    assert len(str(caught.value)) < 600, "what was given is cut where it is long"


def test_a_grid_of_more_cells_than_anybody_means_is_refused() -> None:
    rates = [number / 1000 for number in range(1000)]
    assert len(load_spec(given={"rates": rates, "seeds": 50}).rates) == 1000
    with pytest.raises(
        SpecError, match=r"up to 200,000 cells \(2 methods x 1000 rates x 100 seeds\); at most 100,000 .* same --out\.$"
    ):
        load_spec(given={"rates": rates, "seeds": 100})


def test_an_invalid_value_of_a_file_names_the_file(tmp_path: Path) -> None:
    config = write(tmp_path, "rates: [0.5, 2]\n")
    with pytest.raises(SpecError) as caught:
        load_spec(config=config, given={"seeds": "2"})
    assert str(caught.value).startswith(f"rates (from {config}): ")


def test_unknown_presets_and_fields_get_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match=r"unknown preset 'paper-cifar11'\. Did you mean paper-cifar10"):
        load_spec(preset="paper-cifar11", given={})
    config = write(tmp_path, "method: [ccs]\n")
    with pytest.raises(UnknownName) as caught:
        load_spec(config=config, given={})
    assert str(config) in str(caught.value)
    assert "'method'. Did you mean methods" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("methods: [ccs", "is not valid YAML"),
        ("methods: !!python/object/apply:os.getcwd []", "is not valid YAML"),
        ("rates: 2025-13-01", "must be numbers, got '2025-13-01'"),
        ("rates: " + "[" * 1000, "is not valid YAML"),
        ("- ccs\n- aum\n", "must hold fields such as 'methods:' and 'rates:', and holds a list"),
        ("", "holds nothing"),
        ("methods: null", "expected a list of names, got None"),
        ("rates: [[0.5]]", "must be numbers"),
        ("recipe: {1: 2}", "1 is not valid: a text, such as '1'."),
    ],
)
def test_unusable_yaml_is_refused(tmp_path: Path, text: str, says: str) -> None:
    config = write(tmp_path, text)
    with pytest.raises(SpecError, match=r"^[^\n]+$") as caught:
        load_spec(config=config, given={})
    assert str(config) in str(caught.value)
    assert says in str(caught.value)


def test_unreadable_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"missing\.yaml: No such file or directory"):
        load_spec(config=tmp_path / "missing.yaml", given={})
    with pytest.raises(SpecError, match="it is a folder, not a file"):
        load_spec(config=tmp_path, given={})
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpecError, match="not UTF-8 text"):
        load_spec(config=tmp_path / "binary.yaml", given={})


def test_a_data_set_alone_takes_modifiers(tmp_path: Path) -> None:
    config = tmp_path / "grid.yaml"
    config.write_text("datasets:\n  - digits@imbalance=10\n  - folder@noise=0.2: {path: photos}\n")
    assert load_spec(config=config, given={}).datasets == (
        Call("digits", {}, {"imbalance": 10}),
        Call("folder", {"path": "photos"}, {"noise": 0.2}),
    )
    for field in ("methods", "encoders", "models", "proxy_model"):
        with pytest.raises(SpecError, match=rf"^{field} .* only a data set takes modifiers .* got 'aum@noise=0.2'"):
            load_spec(given={field: "aum@noise=0.2"})


def test_the_yaml_of_every_field(tmp_path: Path) -> None:
    config = write(
        tmp_path,
        """
methods: [full, "ccs(strata=20)", {ccs: {beta: {0.5: 0.0, 0.9: 0.3}}}]
datasets: digits
encoders: [pixels]
models: [small_cnn, linear_probe]
rates: 0.9
seeds: [4]
pool_size: 400
proxy_model: small_cnn
recipe: {iterations: 30}
scale: 0.5
""",
    )
    assert load_spec(config=config, given={}) == GridSpec.model_validate(
        {
            "methods": "full,ccs(strata=20),ccs(beta={0.5: 0.0, 0.9: 0.3})",
            "datasets": "digits",
            "encoders": "pixels",
            "models": "small_cnn,linear_probe",
            "rates": "0.9",
            "seeds": "4,",
            "pool_size": 400,
            "proxy_model": "small_cnn",
            "recipe": {"iterations": 30},
            "scale": 0.5,
        }
    )


@pytest.mark.parametrize("preset", preset_names())
def test_every_preset_expands_to_distinct_cells_of_valid_names(preset: str) -> None:
    cells = cells_of_preset(preset)
    spec = load_spec(preset=preset, given={})
    assert len({cell.cell_id for cell in cells}) == len(cells)
    assert {cell.method for cell in cells} == {call.name for call in spec.methods}
    assert {cell.seed for cell in cells} == set(spec.seeds)
    assert all(cell.stages() for cell in cells)


def test_the_fast_presets_ask_the_papers_question_and_never_meet_its_rows() -> None:
    for name in ("cifar10", "cifar100"):
        fast, paper = cells_of_preset(f"fast-{name}"), cells_of_preset(f"paper-{name}")
        assert {cell.method for cell in paper} - {cell.method for cell in fast} == {"badge"}
        assert {cell.rate for cell in fast} == {cell.rate for cell in paper}
        assert {cell.seed for cell in fast} == {cell.seed for cell in paper}
        assert {cell.model.name for cell in fast} == {"speedrun"}
        assert {cell.proxy.model.name for cell in fast if cell.proxy} == {"speedrun"}
        assert not {cell.model.label for cell in fast} & {cell.model.label for cell in paper}
    betas = {cell.params.get("beta", "auto") for cell in cells_of_preset("fast-cifar10") if cell.method == "elfs"}
    assert betas == {"auto", 0.4}


def facts(*, dataset: str, method: str) -> dict[str, str]:
    text = files("bench").joinpath("paper/hyperparameters.csv").read_text(encoding="utf-8")
    return {
        row["name"] + (f" at {row['pruning_rate']}" if row["pruning_rate"] else ""): row["value"]
        for row in csv.DictReader(text.splitlines())
        if row["dataset"] == dataset and row["method"] == method
    }


def betas_known(dataset: str, method: str) -> dict[int, float]:
    """Percent removed -> beta, as a paper reports it."""
    return {
        int(name.rpartition(" ")[2]): float(value)
        for name, value in facts(dataset=dataset, method=method).items()
        if name.startswith("beta")
    }


def betas_run(cells: list[Cell], method: str) -> dict[int, float | str]:
    """Percent removed -> beta that a method runs at."""
    resolve = methods.get(method).resolve
    return {round(100 * cell.rate): resolve(cell.params)["beta"] for cell in cells if cell.method == method}


CIFAR = "CIFAR/STL10/SVHN/CINIC10"


# The paper states network and lengths for CIFAR-10; its code trains the sets of the same group alike.
@pytest.mark.parametrize(
    ("preset", "dataset", "group"),
    [
        ("paper-cifar10", "CIFAR10", CIFAR),
        ("paper-cifar100", "CIFAR10", CIFAR),
        ("paper-stl10", "CIFAR10", CIFAR),
        ("paper-imagenet", "ImageNet-1K", "ImageNet-1K"),
    ],
)
def test_the_papers_presets_train_as_the_paper_reports(preset: str, dataset: str, group: str) -> None:
    known = facts(dataset=dataset, method="ELFS") | facts(dataset=group, method="ELFS")
    cells = cells_of_preset(preset)
    recipe, model = cells[0].recipe, cells[0].model.name
    assert {cell.recipe for cell in cells} == {recipe}
    assert model == known["network"].lower()
    assert recipe.iterations == int(known["coreset training length"].split()[0])
    assert recipe.proxy_epochs == int(known["proxy training length"].split()[0])
    assert recipe.batch_size == int(known["batch size"])
    assert recipe.lr == float(known["lr"])
    assert recipe.weight_decay == float(known["weight decay"])
    assert recipe.iterations / recipe.evaluations == int(known["test interval (iterations)"])
    assert recipe.momentum == 0.9
    assert recipe.nesterov == ("no Nesterov" not in known["optimizer"])
    assert recipe.scale == 1
    assert {cell.rate for cell in cells} == {0, 0.3, 0.5, 0.7, 0.8, 0.9}


@pytest.mark.parametrize("method", [("elfs", "ELFS (AUM)"), ("ccs", "CCS (AUM)"), ("d2", "D2 (supervised)")])
@pytest.mark.parametrize(("preset", "dataset"), [("paper-cifar10", "CIFAR10"), ("paper-imagenet", "ImageNet-1K")])
def test_the_papers_presets_run_the_reported_betas(preset: str, dataset: str, method: tuple[str, str]) -> None:
    known = betas_known(dataset, method[1])
    assert known
    assert known.items() <= betas_run(cells_of_preset(preset), method[0]).items()


def test_where_the_papers_name_no_beta_elfs_chooses_it_without_labels() -> None:
    for preset, dataset in (("paper-cifar10", "CIFAR10"), ("paper-cifar100", "CIFAR100"), ("paper-stl10", "STL10")):
        known = betas_known(dataset, "ELFS (AUM)")
        run = betas_run(cells_of_preset(preset), "elfs")
        assert {percent for percent, beta in run.items() if beta == "auto"} == run.keys() - known.keys()


def test_cifar100_runs_ccs_at_the_betas_of_cifar10_since_no_others_are_known() -> None:
    assert not betas_known("CIFAR100", "CCS (AUM)")
    assert betas_run(cells_of_preset("paper-cifar100"), "ccs") == betas_known("CIFAR10", "CCS (AUM)")


def test_the_papers_presets_run_d2_as_its_readme_does() -> None:
    for preset, dataset in (("paper-cifar10", "CIFAR10"), ("paper-imagenet", "ImageNet-1K")):
        known = facts(dataset=dataset, method="D2 (supervised)")
        score = {"accumulated_margin": "aum"}.get(known["score at 90"], known["score at 90"])
        [params] = {
            tuple(methods.get("d2").resolve(cell.params)[name] for name in ("k", "gamma", "score"))
            for cell in cells_of_preset(preset)
            if cell.method == "d2"
        }
        assert params == (int(known["k (nearest neighbours) at 90"]), float(known["gamma at 90"]), score)


def test_the_cifar_presets_have_every_curve_of_the_papers_figure() -> None:
    ours = {
        "Random": "random",
        "Prototypicality": "prototypicality",
        "D2 (label-free variant)": "d2-label-free",
        "BADGE": "badge",
        "ELFS": "elfs",
    }
    text = files("bench").joinpath("paper/reported_results.csv").read_text(encoding="utf-8")
    for preset, dataset in (("paper-cifar10", "CIFAR10"), ("paper-cifar100", "CIFAR100")):
        curves = {
            row["method"]
            for row in csv.DictReader(text.splitlines())
            if "evaluation.png" in row["table_or_figure"] and row["dataset"] == dataset
        } - {"Best supervised (envelope curve)"}
        assert curves == ours.keys()
        assert set(ours.values()) <= {cell.method for cell in cells_of_preset(preset)}


@pytest.mark.parametrize("preset", [name for name in preset_names() if name.startswith("paper-")])
def test_the_page_says_how_large_the_papers_grids_are(preset: str) -> None:
    cells = cells_of_preset(preset)
    recipe, size = cells[0].recipe, cells[0].dataset.size
    # All rounds of ten but the first, which is uniform, train a network on what is labelled so far.
    badge = [cell.budget * done // 10 for cell in cells if cell.method == "badge" for done in range(1, 10)]
    proxies = {(cell.seed, cell.method == "elfs" and cell.encoder) for cell in cells if cell.proxy}
    iterations = sum(proxy_iterations(recipe, part) for part in (*badge, *[size] * len(proxies)))
    whole = len(cells) + round(iterations / recipe.iterations)
    page = (Path(__file__).parents[2] / "docs" / "reproduce-the-paper.md").read_text(encoding="utf-8")
    line = f"| `{preset}` | {len(cells)} | {len(badge)} | {len(proxies)} | {whole} |"
    assert line in page
