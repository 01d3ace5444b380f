"""Infer the configuration of a network from its tensors and its settings, and find contradictions between the two.

Values that neither determines are never guessed, but required from the user: T and n, the number of heads, the length
of the prefix, and the task if several have the same token ids.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from trmsolve.checkpoint.format import not_finite
from trmsolve.convert.read import Network, our_name, published_name
from trmsolve.device import require_memory
from trmsolve.errors import TrmsolveError, did_you_mean
from trmsolve.model.config import TRMConfig
from trmsolve.model.layers import EPS
from trmsolve.model.mixers.attention import THETA
from trmsolve.model.sequence_model import official, swiglu_size
from trmsolve.model.trm import TRM
from trmsolve.text_io import printable


class TaskFormat(NamedTuple):
    """A task that a network with this number of token ids may be for."""

    task: str
    token_ids: int
    cells: int  # of a puzzle
    shift: int  # of its token ids relative to the published ones
    name: str


TASK_FORMATS = (
    TaskFormat("sudoku", 11, 81, 0, "9x9 Sudoku"),
    TaskFormat("sudoku", 12, 81, 1, "9x9 Sudoku of nano-trm"),  # pad 0, end 1, blank 2, digits from 3
    TaskFormat("sudoku", 6, 16, 0, "4x4 Sudoku"),
    TaskFormat("maze", 6, 900, 0, "mazes"),
    TaskFormat("arc", 12, 900, 0, "ARC"),
)
TASKS = ("sudoku", "maze", "arc")
MAX_NAMES = 10  # names in a message
_REQUIRED = ("embed_tokens.embedding_weight", "L_level.layers.0.mlp.down_proj.weight")  # the sizes follow from these
_ALWAYS = ("L_level.layers.0.mlp.gate_up_proj.weight", "lm_head.weight", "q_head.weight", "q_head.bias")
_FLOATS = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
_NO_START = "networks with random initial states (EqR) are not supported: the file has no initial states"
_OTHER_CODE = "expected a file of the published code or of nano-trm; check that it is complete"

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """Options of the user, which take precedence over all settings."""

    task: str | None = None
    cycles: tuple[int, int] | None = None  # T, n
    heads: int | None = None
    prefix: int | None = None
    averaged: bool | None = None  # use averaged or plain weights, if a file has both; None: averaged

    def __post_init__(self) -> None:
        """Raises TrmsolveError for an unknown task."""
        if self.task is not None and self.task not in TASKS:
            raise TrmsolveError(f"unknown task '{self.task}'", did_you_mean(self.task, TASKS))


def infer(network: Network, settings: Mapping[str, Any], options: ImportOptions) -> tuple[str, TRMConfig]:
    """The task and the configuration of a network, by its tensors under their published names.

    Raises TrmsolveError if a required tensor is missing or not a matrix, if the task is another, if settings and
    tensors contradict each other, or if an option is needed.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in network.tensors.items()}
    if not set(_REQUIRED) <= shapes.keys():
        missing = [name for name in (*_REQUIRED, *_ALWAYS) if name not in shapes]
        raise TrmsolveError(f"{_counted(len(missing))} of every TRM and HRM missing: {_some(missing)}")
    vocab_size, hidden_size = _matrix(shapes, "embed_tokens.embedding_weight")
    layers, y_layers = (_layers(shapes, level) for level in ("L_level", "H_level"))
    first = "L_level.layers.0."
    mixes = any(name.startswith(f"{first}mlp_t.") for name in shapes)
    positions, position_hidden = _matrix(shapes, f"{first}mlp_t.down_proj.weight") if mixes else (0, 0)
    intermediate_size = _matrix(shapes, f"{first}mlp.down_proj.weight")[1]
    puzzles, puzzle_width = _matrix(shapes, "puzzle_emb.weights") if "puzzle_emb.weights" in shapes else (0, 0)
    learned = _matrix(shapes, "embed_pos.embedding_weight")[0] if "embed_pos.embedding_weight" in shapes else 0
    stated_positions = settings.get("pos_encodings", "rope")
    T, n = _cycles(settings, options)
    length = positions or learned  # prefix included; 0 if the tensors do not determine it
    puzzle_tokens = -(-puzzle_width // hidden_size)  # per puzzle embedding; the last one is padded with zeros
    prefix = _prefix(settings, options, puzzle_tokens, bool(y_layers))
    cells = _whole(settings, "seq_len")
    if length and prefix is not None:
        cells = length - prefix
        if cells < 1:
            message = f"a prefix of {prefix} tokens leaves no cells in a sequence of {length}"
            raise TrmsolveError(message, "give its length: --prefix N")
    task_format = _task_format(network, settings, options, vocab_size, cells, puzzles)
    if prefix is None and length > task_format.cells:
        prefix, cells = length - task_format.cells, task_format.cells
    if prefix is None:
        hint = "give it: --prefix N (16 in the published TRM, 1 in HRM and some later TRMs)"
        raise TrmsolveError("the number of tokens before the cells is unknown", hint)
    config = official(
        "mlp" if mixes else "attention",
        vocab_size,
        cells or task_format.cells,
        hidden_size,
        prefix,
        puzzles,
        puzzle_tokens=puzzle_tokens or 1,
        token_shift=task_format.shift,
        num_layers=layers,
        num_y_layers=y_layers,
        grad_steps=1 if y_layers else 0,
        intermediate_size=intermediate_size,
        seq_intermediate_size=position_hidden,
        positions="learned" if learned else "rope" if not mixes and stated_positions == "rope" else "none",
        num_heads=8 if mixes else _heads(settings, options, hidden_size),
        T=T,
        n=n,
        N_sup=_whole(settings, "halt_max_steps") or 16,
    )
    if contradictions := list(_contradictions(settings, config, puzzle_width)):
        raise TrmsolveError(
            f"the settings contradict the tensors: {'; '.join(contradictions)}",
            "name the settings of this file: --config FILE",
        )
    return task_format.task, config


def checked_tensors(tensors: Mapping[str, Tensor], strange: list[str], config: TRMConfig) -> dict[str, Tensor]:
    """The tensors by our names. Raises TrmsolveError unless they are exactly those of the configuration."""
    expected = _expected(config)
    named = {our_name(name) or name: _padded(name, tensor, config) for name, tensor in tensors.items()}
    wrong = [
        ("missing", [published_name(name) for name in expected if name not in named]),
        ("unknown", [*map(printable, strange), *(published_name(name) for name in named if name not in expected)]),
        (
            "of another shape",
            [
                f"{published_name(name)} (expected {_by(shape)}, found {_by(named[name].shape)})"
                for name, shape in expected.items()
                if name in named and tuple(named[name].shape) != shape
            ],
        ),
        ("of another kind", [f"{published_name(n)} ({_kind(t)})" for n, t in named.items() if not _plain(t)]),
    ]
    if not any(names for _, names in wrong):
        wrong.append(("with NaN or infinite weights", [published_name(name) for name in not_finite(named)]))
    problems = [f"{_counted(len(names))} {what}: {_some(names)}" for what, names in wrong if names]
    if problems:
        hint = _NO_START if set(wrong[0][1]) == {"H_init", "L_init"} else _OTHER_CODE
        raise TrmsolveError("the tensors are not those of a published network\n  " + "\n  ".join(problems), hint)
    return named


def _expected(config: TRMConfig) -> dict[str, tuple[int, ...]]:
    """The shapes of the network's tensors by our names; allocates no tensors."""
    with torch.device("meta"):
        model = TRM(replace(config, num_puzzles=min(config.num_puzzles, 1)))
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    if config.num_puzzles:
        shapes["embed.puzzle_table"] = (config.num_puzzles, config.puzzle_tokens * config.hidden_size)
    return shapes


def _padded(name: str, tensor: Tensor, config: TRMConfig) -> Tensor:
    """Pad a tensor with zeros, which do not change the result.

    Puzzle embeddings, (rows, width), are padded to whole tokens, and a q_head with one logit to two.
    """
    width = config.puzzle_tokens * config.hidden_size
    if name == "puzzle_emb.weights" and tensor.dim() == 2 and 0 < tensor.shape[1] < width:
        require_memory(len(tensor) * width * tensor.element_size(), "a wider table", "use --drop-embeddings elsewhere")
        return torch.nn.functional.pad(tensor, (0, width - tensor.shape[1]))
    if name in ("q_head.weight", "q_head.bias") and tensor.dim() and len(tensor) == 1:
        return torch.cat([tensor, torch.zeros_like(tensor)])
    return tensor


# -- parts of the configuration -----------------------------------------------------------------------------------


def _matrix(shapes: Shapes, name: str) -> tuple[int, int]:
    if name not in shapes:  # half of a pair: the token mixer's
        raise TrmsolveError(f"1 tensor missing: {name}")
    if len(shapes[name]) != 2 or 0 in shapes[name]:
        raise TrmsolveError(f"the tensor {name} is {_by(shapes[name])}, expected a matrix")
    rows, columns = shapes[name]
    return rows, columns


def _layers(shapes: Shapes, level: str) -> int:
    indices = [int(name.split(".")[2]) for name in shapes if name.startswith(f"{level}.layers.") and our_name(name)]
    return len(set(indices))  # a gap then shows as a missing layer and an unknown one


def _task_format(
    network: Network,
    settings: Mapping[str, Any],
    options: ImportOptions,
    vocab_size: int,
    cells: int | None,
    puzzles: int,
) -> TaskFormat:
    """The task of the network. cells: of a puzzle, None if unknown; puzzles: rows of its table."""
    described = f"{vocab_size} token ids" + (f" and {cells} cells" if cells else "")
    formats = [r for r in TASK_FORMATS if r.token_ids == vocab_size and options.task in (None, r.task)]
    if any(name.startswith("H_level.") for name in network.tensors):  # nano-trm has no second network
        formats = [r for r in formats if not r.shift]
    if cells is not None:  # mazes and ARC have other sizes too, but small ones only if the user names the task
        large_enough = options.task is not None or cells >= 100
        formats = [r for r in formats if r.cells == cells or (r.task != "sudoku" and large_enough)]
    if not formats:
        supported = ", ".join(f"{r.name} {r.token_ids} and {r.cells}" for r in TASK_FORMATS)
        problem = f"not a checkpoint for {options.task}" if options.task else "not a task of trmsolve"
        hint = f"supported token ids and cells: {supported}; cells are the tokens after the prefix (--prefix N)"
        raise TrmsolveError(f"{problem}: this network has {described}", hint)
    data = re.findall(r"(?<![a-z])(sudoku|maze|arc)(?![a-z])", str(settings.get("data_paths", "")).lower())
    formats = [r for r in formats if r.task in data] or formats
    if puzzles > 1 and not network.nano_trm:  # published networks for Sudoku and mazes have one puzzle embedding
        formats = [r for r in formats if r.task == "arc"] or formats
    if len(formats) > 1:
        names = " or ".join(r.name for r in formats)
        raise TrmsolveError(f"the task is unknown: {described} fit {names}", "name it: --task TASK")
    if formats[0].cells == 16:
        raise TrmsolveError(f"a 4x4 Sudoku network ({described})", "only published networks for 9x9 are supported")
    return formats[0]


def _cycles(settings: Mapping[str, Any], options: ImportOptions) -> tuple[int, int]:
    T, n = options.cycles or (_whole(settings, "H_cycles"), _whole(settings, "L_cycles"))
    if T is None or n is None:
        raise TrmsolveError(
            "the number of recursions T and n is unknown",
            "give it: --cycles T,n (TRM: 3,6 for Sudoku, 3,4 for mazes and ARC; HRM: 2,2)",
        )
    return T, n


def _heads(settings: Mapping[str, Any], options: ImportOptions, hidden_size: int) -> int:
    heads = options.heads or _whole(settings, "num_heads")
    if heads is None:
        raise TrmsolveError("the number of attention heads is unknown", "give it: --heads N (8 in published networks)")
    if hidden_size % (2 * heads):
        problem = f"{heads} heads do not divide a hidden size of {hidden_size}"
        raise TrmsolveError(problem, "give their number: --heads N")
    return heads


def _prefix(settings: Mapping[str, Any], options: ImportOptions, needed: int, hierarchical: bool) -> int | None:
    """The number of tokens before the cells; None if unknown. needed: tokens of a puzzle embedding."""
    if options.prefix is not None:
        return options.prefix
    if not needed:  # the published code then adds no prefix either
        return 0
    stated = _whole(settings, "puzzle_emb_len", least=0)
    if stated is None:
        return needed if hierarchical else None  # HRM's code has no such setting
    return stated or needed


def _contradictions(settings: Mapping[str, Any], config: TRMConfig, puzzle_width: int) -> Iterator[str]:
    """Contradictions between settings and tensors, one message each."""
    mlp, hrm = config.mixer == "mlp", bool(config.num_y_layers)
    sizes: dict[str, Any] = {"hidden_size": config.hidden_size, "L_layers": config.num_layers}
    sizes |= {"H_layers": config.num_y_layers} if hrm else {}
    sizes |= {"rms_norm_eps": EPS, "rope_theta": THETA}
    defaults = sizes | {"mlp_t": False, "puzzle_emb_ndim": 0}  # of the published code
    for key, actual in (sizes | {"mlp_t": mlp, "puzzle_emb_ndim": puzzle_width}).items():
        stated = defaults[key] if settings.get(key) is None else settings[key]
        if settings and stated != actual:
            yield f"{key} {printable(stated, 50)}, found {actual}"
    if isinstance(expansion := settings.get("expansion"), int | float):
        size = swiglu_size(config.hidden_size, expansion) if abs(expansion) < 1e6 else "countless"
        if size != config.intermediate_size:
            yield f"expansion {expansion} makes {size} inner features, found {config.intermediate_size}"
    positions = printable(settings.get("pos_encodings", "rope"), 50)
    if settings and (positions == "learned") != (config.positions == "learned"):
        yield f"pos_encodings {positions}, found {config.positions}"
    elif not mlp and positions not in ("rope", "learned", "none", "None"):
        yield f"pos_encodings {positions}, expected rope, learned or none"
    cells = config.seq_len - config.prefix_len
    if settings.get("seq_len", cells) != cells:
        yield f"seq_len {settings['seq_len']}, found {cells}"
    if (kind := str(settings.get("name", "")).lower()) and hrm != ("hrm" in kind or "hierarchical" in kind):
        yield f"name {printable(settings['name'], 80)}, found {'two networks' if hrm else 'one network'}"


def _whole(settings: Mapping[str, Any], key: str, least: int = 1) -> int | None:
    """An integer setting; None if it is missing."""
    value = settings.get(key)
    if value is not None and (type(value) is not int or value < least):
        shown = printable(repr(value), 50)
        raise TrmsolveError(f"the settings have {key}: {shown}, expected a whole number of at least {least}")
    return value


def _plain(tensor: Tensor) -> bool:
    """Whether a tensor is dense, floating point and on the CPU."""
    return tensor.dtype in _FLOATS and tensor.layout is torch.strided and tensor.device.type == "cpu"


def _kind(tensor: Tensor) -> str:
    return f"{tensor.dtype}, {tensor.layout}, {tensor.device}".replace("torch.", "")


def _counted(number: int) -> str:
    return f"{number} tensor{'' if number == 1 else 's'}"


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a single number"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return ", ".join(names[:MAX_NAMES]) + more
