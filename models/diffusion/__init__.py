"""models.diffusion: a real image generator in NumPy - its graph read from an ONNX file, run node by node.

Weights are applied by a product operator that the caller may replace. Packages of the extra [terrain] are imported when
a model is read.
"""

from models.diffusion.graph import Graph, MatrixLayer, Node, read_graph
from models.diffusion.products import Product, Products, convolve
from models.diffusion.running import advance, begin, run
from models.diffusion.terrain import INSTALL, TERRAIN_MODEL, TerrainModel, heights, inputs, read_terrain, terrain_file

__all__ = [
    "INSTALL",
    "TERRAIN_MODEL",
    "Graph",
    "MatrixLayer",
    "Node",
    "Product",
    "Products",
    "TerrainModel",
    "advance",
    "begin",
    "convolve",
    "heights",
    "inputs",
    "read_graph",
    "read_terrain",
    "run",
    "terrain_file",
]
