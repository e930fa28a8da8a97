"""The lines of Python that load a model file, as it is, into `torch.nn.RNN/GRU/LSTM`."""

from charrnn.config import ModelConfig
from charrnn.files.writing import StrPath

MODULES = {"rnn": "RNN", "gru": "GRU", "lstm": "LSTM"}


def loading_lines(config: ModelConfig, vocab_size: int, dtype: str, path: StrPath) -> str:
    """Five lines of Python that load a model file into torch and define `logits(ids, state)`.

    ids : int64 (T, B); state : in torch's form, None is zero. Returns logits (T, B, V) and the new state.
    """
    cell, inputs = config.cell, config.embedding or vocab_size
    to_dtype = ".double()" if dtype == "float64" else ""
    options = f', nonlinearity="{config.nonlinearity}"' if cell == "rnn" else ""
    modules = {
        cell: f"nn.{MODULES[cell]}({inputs}, {config.hidden}, {config.layers}{options})",
        "head": f"nn.Linear({config.hidden}, {vocab_size})",
    }
    x = f"nn.functional.one_hot(ids, {vocab_size}){to_dtype or '.float()'}"
    if config.embedding:
        modules["embedding"] = f"nn.Embedding({vocab_size}, {config.embedding})"
        x = 'model["embedding"](ids)'
    listed = ", ".join(f'"{name}": {module}' for name, module in modules.items())
    return f"""\
from safetensors.torch import load_file; from torch import nn
model = nn.ModuleDict({{{listed}}}){to_dtype}
model.load_state_dict(load_file({str(path)!r}))
def logits(ids, state=None): h, state = model["{cell}"]({x}, state); return model["head"](h), state
model.eval()
"""
