"""Adapting to tasks that the model has never seen: gradient steps on a task's demonstrations, then votes on its tests.

Only in ARC does every puzzle have a rule of its own (arXiv 2510.04871, section 5: no answer without such steps).
"""
