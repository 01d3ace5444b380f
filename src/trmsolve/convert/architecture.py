"""The configuration of a network from its tensors and its yaml, and contradictions between the two."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from trmsolve.convert.memory import require
from trmsolve.convert.names import our_name, published_name
from trmsolve.errors import TrmsolveError, did_you_mean
from trmsolve.model.config import TRMConfig
from trmsolve.model.layers import EPS
from trmsolve.model.mixers.attention import THETA
from trmsolve.model.sequence_model import official, swiglu_size
from trmsolve.model.trm import TRM

VOCAB_SIZES = {"sudoku": 11, "maze": 6, "arc": 12}
CELLS = {"sudoku": 81, "maze": 900, "arc": 900}
MAX_NAMES = 10  # names in a message
_REQUIRED = ("embed_tokens.embedding_weight", "L_level.layers.0.mlp.down_proj.weight")  # the sizes follow from these
_ALWAYS = ("L_level.layers.0.mlp.gate_up_proj.weight", "lm_head.weight", "q_head.weight", "q_head.bias")
_FLOATS = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
_NO_START = "a network that begins anew at random (EqR) stores no initial states, and trmsolve cannot run it"

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """Settings of the user, which override the yaml."""

    task: str | None = None
    cycles: tuple[int, int] | None = None  # T, n
    heads: int | None = None
    prefix: int | None = None

    def __post_init__(self) -> None:
        """Raises TrmsolveError for a task that there is not."""
        if self.task is not None and self.task not in VOCAB_SIZES:
            raise TrmsolveError(f"unknown task '{self.task}'", did_you_mean(self.task, tuple(VOCAB_SIZES)))


def infer(tensors: Mapping[str, Tensor], settings: Mapping[str, Any], options: ImportOptions) -> tuple[str, TRMConfig]:
    """The task and the configuration of a network, by its tensors under their published names.

    Raises TrmsolveError: a tensor without which nothing is known is missing or no matrix, the task is another, yaml and
    tensors contradict each other, or something that only the user can know is not said.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if not set(_REQUIRED) <= shapes.keys():
        missing = [name for name in (*_REQUIRED, *_ALWAYS) if name not in shapes]
        raise TrmsolveError(f"{_counted(len(missing))} missing that every TRM and HRM has: {_some(missing)}")
    vocabulary, width = _matrix(shapes, "embed_tokens.embedding_weight")
    task = _task(vocabulary, options.task)
    layers, y_layers = (_layers(shapes, level) for level in ("L_level", "H_level"))
    first = "L_level.layers.0."
    mixes = any(name.startswith(f"{first}mlp_t.") for name in shapes)
    places, place_hidden = _matrix(shapes, f"{first}mlp_t.down_proj.weight") if mixes else (0, 0)
    hidden = _matrix(shapes, f"{first}mlp.down_proj.weight")[1]
    puzzles, named = _matrix(shapes, "puzzle_emb.weights") if "puzzle_emb.weights" in shapes else (0, 0)
    learned = _matrix(shapes, "embed_pos.embedding_weight")[0] if "embed_pos.embedding_weight" in shapes else 0
    T, n = _cycles(settings, options)
    length = places or learned
    prefix = _prefix(settings, options, -(-named // width), length - CELLS[task] if length else None, bool(y_layers))
    if length and (prefix >= length or (task == "sudoku" and length - prefix != CELLS[task])):
        left = f"{max(0, length - prefix) or 'no'} cells"
        raise TrmsolveError(f"a prefix of {prefix} leaves {left} of {length} tokens", "say how long it is: --prefix N")
    config = official(
        "mlp" if mixes else "attention",
        vocabulary,
        (length or prefix + CELLS[task]) - prefix,
        width,
        prefix,
        puzzles,
        num_layers=layers,
        num_y_layers=y_layers,
        grad_steps=1 if y_layers else 0,
        intermediate_size=hidden,
        seq_intermediate_size=place_hidden,
        positions=_positions(settings, bool(learned), mixes),
        num_heads=8 if mixes else _heads(settings, options, width),
        T=T,
        n=n,
        N_sup=_whole(settings, "halt_max_steps") or 16,
    )
    if contradictions := list(_contradictions(settings, config, named)):
        raise TrmsolveError(
            f"the yaml contradicts the tensors: {'; '.join(contradictions)}", "is it the yaml of this file?"
        )
    return task, config


def fit(tensors: Mapping[str, Tensor], strange: list[str], config: TRMConfig) -> dict[str, Tensor]:
    """The tensors by our names. Raises TrmsolveError when they are not exactly those of the configuration."""
    expected = _expected(config)
    named = {our_name(name) or name: tensor for name, tensor in tensors.items()}
    wrong = [
        ("missing", [published_name(name) for name in expected if name not in named]),
        ("unknown", [*strange, *(published_name(name) for name in named if name not in expected)]),
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
    problems = [f"{_counted(len(names))} {what}: {_some(names)}" for what, names in wrong if names]
    if problems:
        hint = _NO_START if set(wrong[0][1]) == {"H_init", "L_init"} else ""
        raise TrmsolveError("the tensors do not make a published network\n  " + "\n  ".join(problems), hint)
    return named


def _expected(config: TRMConfig) -> dict[str, tuple[int, ...]]:
    """The shapes of the network's tensors by our names. It is built for that, but for its table of puzzles."""
    mixing = 3 * config.seq_len * config.seq_intermediate_size if config.mixer == "mlp" else 4 * config.hidden_size**2
    numbers = (config.num_layers + config.num_y_layers) * (3 * config.hidden_size * config.intermediate_size + mixing)
    require(4 * numbers, "the network that the tensors describe", "is it a TRM or HRM?")
    model = TRM(replace(config, num_puzzles=min(config.num_puzzles, 1)))
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    return shapes | ({"embed.puzzle_table": (config.num_puzzles, config.hidden_size)} if config.num_puzzles else {})


# -- one question each --------------------------------------------------------------------------------------------


def _matrix(shapes: Shapes, name: str) -> tuple[int, int]:
    if name not in shapes:  # half of a pair: the token mixer's
        raise TrmsolveError(f"1 tensor missing: {name}")
    if len(shapes[name]) != 2 or 0 in shapes[name]:
        raise TrmsolveError(f"the tensor {name} is {_by(shapes[name])}, a matrix expected")
    rows, columns = shapes[name]
    return rows, columns


def _layers(shapes: Shapes, level: str) -> int:
    indices = [int(name.split(".")[2]) for name in shapes if name.startswith(f"{level}.layers.") and our_name(name)]
    return len(set(indices))  # a gap then shows as a missing layer and an unknown one


def _task(vocabulary: int, requested: str | None) -> str:
    if requested is None:
        for task, size in VOCAB_SIZES.items():
            if size == vocabulary:
                return task
        known = ", ".join(f"{task} {size}" for task, size in VOCAB_SIZES.items())
        raise TrmsolveError(f"no task of trmsolve has {vocabulary} token ids", f"known: {known}")
    if VOCAB_SIZES[requested] != vocabulary:
        raise TrmsolveError(
            f"no {requested} checkpoint: {requested} has {VOCAB_SIZES[requested]} token ids, this network {vocabulary}",
            "leave out --task to see what it is for",
        )
    return requested


def _cycles(settings: Mapping[str, Any], options: ImportOptions) -> tuple[int, int]:
    T, n = options.cycles or (_whole(settings, "H_cycles"), _whole(settings, "L_cycles"))
    if T is None or n is None:
        raise TrmsolveError(
            "no yaml says how often the network recurs",
            "say it: --cycles T,n (TRM: 3,6 for Sudoku, 3,4 for mazes and ARC; HRM: 2,2)",
        )
    return T, n


def _heads(settings: Mapping[str, Any], options: ImportOptions, width: int) -> int:
    heads = options.heads or _whole(settings, "num_heads")
    if heads is None:
        raise TrmsolveError("no yaml says how many heads attend", "say it: --heads N (8 in the published networks)")
    if width % (2 * heads):
        raise TrmsolveError(f"{heads} heads cannot share a width of {width}", "say how many there are: --heads N")
    return heads


def _prefix(
    settings: Mapping[str, Any], options: ImportOptions, needed: int, by_length: int | None, hierarchical: bool
) -> int:
    """Tokens before the cells. `needed`: those that an embedding fills, 0 where no puzzle has one."""
    if options.prefix is not None:
        return options.prefix
    if not needed:  # the published code then adds no prefix either
        return 0
    if settings:
        said = _whole(settings, "puzzle_emb_len", least=0)
        return (16 if said is None and not hierarchical else said) or needed
    if by_length is not None:
        return by_length
    return needed if hierarchical else 16


def _positions(settings: Mapping[str, Any], learned: bool, mixes: bool) -> str:
    if learned:
        return "learned"
    if mixes or settings.get("pos_encodings", "rope") != "rope":
        return "none"
    return "rope"


def _contradictions(settings: Mapping[str, Any], config: TRMConfig, named: int) -> Iterator[str]:
    """What the yaml says against what was found, one sentence each."""
    mlp, hrm = config.mixer == "mlp", bool(config.num_y_layers)
    facts: dict[str, tuple[Any, Any]] = {  # what is in the file, what the published code does unless told
        "hidden_size": (config.hidden_size, config.hidden_size),
        "L_layers": (config.num_layers, config.num_layers),
        "mlp_t": (mlp, False),
        "puzzle_emb_ndim": (named, 0),
        "rms_norm_eps": (EPS, EPS),
        "rope_theta": (THETA, THETA),
    }
    if hrm:
        facts["H_layers"] = (config.num_y_layers, config.num_y_layers)
    for key, (found, default) in facts.items():
        said = settings.get(key)
        if settings and (said := default if said is None else said) != found:
            yield f"{key} {said}, found {found}"
    if isinstance(expansion := settings.get("expansion"), int | float):
        made = swiglu_size(config.hidden_size, expansion) if abs(expansion) < 1e6 else "countless"
        if made != config.intermediate_size:
            yield f"expansion {expansion} makes {made} inner features, found {config.intermediate_size}"
    said = settings.get("pos_encodings", "rope")
    if settings and (said == "learned") != (config.positions == "learned"):
        yield f"pos_encodings {said}, found {config.positions}"
    elif not mlp and said not in ("rope", "learned", "none", None):
        yield f"pos_encodings {said}, known rope, learned and none"
    if (kind := str(settings.get("name", "")).lower()) and hrm != ("hrm" in kind or "hierarchical" in kind):
        yield f"name {settings['name']}, found {'two networks' if hrm else 'one network'}"


def _whole(settings: Mapping[str, Any], key: str, least: int = 1) -> int | None:
    """A whole number of the yaml, None where it says nothing."""
    value = settings.get(key)
    if value is not None and (type(value) is not int or value < least):
        raise TrmsolveError(f"the yaml says {key}: {value!r}, a whole number from {least} on needed")
    return value


def _plain(tensor: Tensor) -> bool:
    """Whether it is floating point numbers, one after the other."""
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
