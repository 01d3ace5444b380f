"""The mixer grid: any size, translations, independence of the batch, and two implementations that agree."""

import numpy as np
import pytest
import torch

from networks import stepped
from trmsolve.model.config import TRMConfig
from trmsolve.model.packing import pack, segment_sum
from trmsolve.model.trm import TRM
from trmsolve.tasks import get
from trmsolve.tasks.maze.cells import WALL
from trmsolve.tasks.maze.encode import MOVE_CLASSES, encode
from trmsolve.tasks.maze.generate import generate
from trmsolve.tasks.maze.rules import DIRECTIONS
from trmsolve.tasks.symmetries import transform


@pytest.fixture(scope="module")
def model() -> TRM:
    torch.manual_seed(0)
    model = TRM(TRMConfig.from_dict({**get("maze").model_defaults, "hidden_size": 16, "intermediate_size": 32}))
    torch.nn.init.normal_(model.q_head.weight)
    return model.eval()


def logits(model: TRM, mazes: list[np.ndarray], steps: int = 2, multiple: int = 1) -> list[torch.Tensor]:
    """Per maze, (L, options) after some steps."""
    return stepped(model, [encode(maze) for maze in mazes], steps, multiple)[0]


def a_maze(index: int, size: tuple[int, int] = (9, 12)) -> np.ndarray:
    return generate(3, index, size)[0]


def moved(maze: np.ndarray, rows: int, columns: int, size: tuple[int, int]) -> np.ndarray:
    larger = np.full(size, WALL, np.uint8)
    larger[rows : rows + maze.shape[0], columns : columns + maze.shape[1]] = maze
    return larger


@pytest.mark.parametrize(("rows", "columns"), [(0, 0), (1, 0), (4, 7), (11, 3)])
def test_a_maze_moved_within_walls_gives_the_same_logits(model, rows, columns):
    """The border is wall like any other, so the move changes nothing anywhere."""
    maze = a_maze(0)
    (here,), (there,) = logits(model, [maze]), logits(model, [moved(maze, rows, columns, (20, 19))])
    torch.testing.assert_close(here, there, atol=1e-5, rtol=1e-5)
    assert here.std(0).min() > 1e-3  # a constant would not change either


def test_information_travels_one_cell_per_layer(model):
    """(n + 1) T layers = 16 cells a step: what lies 17 cells away is felt in the second step, and not before."""
    assert (model.config.n + 1) * model.config.T * model.config.num_layers == 16
    near, far = np.ones((2, 3, 30), np.uint8)
    for maze, goal in ((near, 18), (far, 25)):
        maze[[0, 2]] = WALL
        maze[1, 0], maze[1, goal] = 2, 3
    for steps, felt in ((1, False), (2, True)):
        (a,), (b,) = logits(model, [near], steps), logits(model, [far], steps)
        assert torch.equal(a[:2], b[:2]) is not felt


def test_each_neighbour_has_its_own_weights(model):
    maze = a_maze(1, (7, 7))
    (here,), (turned,) = logits(model, [maze]), logits(model, [transform(maze, 1)])
    order = transform(np.cumsum(maze.reshape(-1) != WALL).reshape(maze.shape) - 1, 1)[transform(maze, 1) != WALL]
    assert not torch.allclose(here[torch.from_numpy(order)], turned, atol=1e-3)


def test_neighbours_in_the_batch_and_padding_change_nothing(model):
    mazes = [a_maze(i, size) for i, size in enumerate([(5, 9), (12, 4), (3, 3), (8, 8)])]
    together = logits(model, mazes, multiple=64)
    for maze, mine in zip(mazes, together, strict=True):
        torch.testing.assert_close(mine, logits(model, [maze])[0], atol=1e-5, rtol=1e-5)


def test_with_and_without_autograd_agree(model):
    encoded = encode(a_maze(2))
    tokens, layout = pack([encoded])
    y, z = model.init_state(len(tokens), torch.float32)
    with torch.no_grad():
        fast = model(tokens, y, z, layout)
    slow = model(tokens, y.requires_grad_(), z, layout)
    assert slow.logits.requires_grad and not fast.logits.requires_grad
    torch.testing.assert_close(fast.logits, slow.logits, atol=1e-5, rtol=1e-5)


def test_packed_neighbourhood_and_its_gradient():
    maze = a_maze(3, (4, 5))
    tokens, layout = pack([encode(maze)], 32)
    h = torch.randn(len(tokens), 3, dtype=torch.float64, requires_grad=True)
    sums = segment_sum(h, layout.edges).view(len(tokens), 5, 3)
    index = np.cumsum(maze.reshape(-1) != WALL).reshape(maze.shape) - 1
    for r, c in np.argwhere(maze != WALL).tolist():
        for k, (down, right) in enumerate(((0, 0), *DIRECTIONS)):
            there = r + down, c + right
            inside = 0 <= there[0] < maze.shape[0] and 0 <= there[1] < maze.shape[1] and maze[there] != WALL
            expected = h[index[there]] if inside else torch.zeros(3, dtype=torch.float64)
            torch.testing.assert_close(sums[index[r, c], k], expected)
    assert torch.autograd.gradcheck(lambda t: segment_sum(t, layout.edges), (h,))


def test_choice_reads_only_its_own_options(model):
    from trmsolve.model.packing import chosen_option, logits_by_choice

    encoded = encode(a_maze(4))
    tokens, layout = pack([encoded])
    options = model.config.num_classes
    logits = torch.zeros(len(tokens), options)
    logits[:, MOVE_CLASSES:] = 9.0  # a phase is no course, however sure
    logits[:, 5] = 1.0
    by_choice = logits_by_choice(logits.flatten(), layout)
    assert by_choice.shape == (len(tokens), MOVE_CLASSES)
    assert (chosen_option(by_choice, layout) == torch.arange(len(tokens)) * options + 5).all()
