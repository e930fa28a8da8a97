"""What benchmarks/suite.py compares: each file measures one side in a process of its own.

    python -m sides.torch_script lstm-2x128 2      from benchmarks/: the shape's name, seconds

One JSON object comes last. The files share `common`, which needs numpy alone.
"""
