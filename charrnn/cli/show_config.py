"""charrnn train --show-config: the settings a run would have, and where each came from."""

from typing import Any

import typer

from charrnn.cli.origin import Origin, origin
from charrnn.config import DEFAULT_EPOCHS, PRESETS, as_dict, configs
from charrnn.errors import UsageError
from charrnn.ui.terminal.output import json_text, put


def show_config(
    ctx: typer.Context, as_json: bool, preset: str | None, init_from: str | None, settings: dict[str, Any]
) -> None:
    """Print the settings as TOML, each with its origin as a comment: a file for --config."""
    from charrnn.runs.folder import toml_value
    from charrnn.training import fine_tune

    if ctx.params["resume"]:
        raise UsageError(
            "--show-config cannot be given with --resume: the run's config.toml has its settings"
        )
    given = {name: value for name, value in settings.items() if value is not None}
    of_preset, of_origin = PRESETS.get(preset or "", {}), {}
    if init_from is None:
        model, config = configs(preset or "default", **given)
    else:
        begun = fine_tune.read_origin(init_from)
        model, config = fine_tune.settings(begun, preset, given)
        of_origin = as_dict(model) | {"level": config.level, "precision": config.precision}

    def where(name: str) -> Origin:
        if name in given:
            return origin(ctx, name)
        if name in of_origin:
            return Origin("model", f"{init_from}")
        return Origin("preset", f"{preset}") if name in of_preset else Origin("default", "")

    tables = {"model": as_dict(model), "train": as_dict(config)}
    if as_json:
        found = {
            name: {"value": value, "from": where(name).kind, "name": where(name).name}
            for values in tables.values()
            for name, value in values.items()
        }
        put(json_text({"preset": preset or "default", "settings": found}))
        return
    effective = {"lr": f"{config.learning_rate:g} for {config.optimizer}"}
    if config.epoch_budget == DEFAULT_EPOCHS:
        effective["epochs"] = f"{DEFAULT_EPOCHS:g} as no other budget is given"
    lines = []
    for table, values in tables.items():
        lines += [(f"[{table}]", "")]
        for name, value in values.items():
            if value is None:  # TOML has no word for it
                lines += [(f"# {name}", effective.get(name, "not set"))]
            else:
                came = where(name)
                lines += [(f"{name} = {toml_value(value)}", f"{came.kind} {came.name}".strip())]
        lines += [("", "")]
    width = max(len(setting) for setting, _ in lines)
    for setting, comment in lines[:-1]:
        put(f"{setting:<{width}}  # {comment}" if comment else setting)
