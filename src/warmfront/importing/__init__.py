"""`warmfront import`: a model file becomes a function folder with its manifest.

What lives here: where a model comes from, what kind it is, what it takes and gives, the files that are written. What
must not: the runtimes themselves, which another process loads (`reader.py`); how a model is served, which is
`function/imported/`.
"""
