"""Token mixers: how the tokens of a puzzle exchange messages. A file here is a mixer of that name.

To add one, write a file with
- an edge type: a frozen dataclass of numpy arrays, derived from inputs.Edges, for Encoded.edges of a task's encode();
- its `pack`, which returns the edges of a batch as a NamedTuple of tensors with .to(device);
- a module `Layer(config)`, one layer of f: (L, D), packed edges -> (L, D).
"""
