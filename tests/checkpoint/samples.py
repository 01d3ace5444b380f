"""A tiny checkpoint, and how to change its header."""

from __future__ import annotations

import json

import torch

from trmsolve import checkpoint as checkpoints
from trmsolve.model.config import TRMConfig
from trmsolve.model.trm import TRM

CONFIG = TRMConfig(hidden_size=4, intermediate_size=6, num_layers=1, mixer="units", weight_sharing=(0, 0, 1), n=1)
MODEL = json.loads(json.dumps(CONFIG.to_dict()))
PROVENANCE = {"command": "trmsolve train --task sudoku", "steps": 1000, "data": {"train.csv": "ab12"}}
METRICS = {"extreme_dev": {"solved": 0.9933, "n": 300}, "clue17_dev": {"solved": 1.0, "n": 1000}}
ATTENTIVE = {"mixer": "attention", "vocab_size": 6, "cells": 9, "hidden_size": 16, "num_heads": 2, "num_puzzles": 3}


def tensors():
    """The weights of a tiny network: two of them share memory, one lies transposed, one is bfloat16."""
    torch.manual_seed(0)
    state = TRM(CONFIG).state_dict()
    state["z_init"] = state["y_init"]
    state["layers.0.down.weight"] = torch.randn(6, 4).T
    state["q_head.weight"] = torch.randn(2, 4).to(torch.bfloat16)
    return state


def write(path, task="sudoku", metrics=METRICS):
    checkpoints.save(path, tensors(), task, MODEL, PROVENANCE, metrics)
    return path


def with_header(path, change):
    """Rewrite the file's JSON header."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])
