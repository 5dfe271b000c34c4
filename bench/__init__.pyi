"""The public names, once: type checkers read this file, and ``bench/__init__.py`` makes lazy imports of it."""

from .api import ResultTable as ResultTable
from .api import Run as Run
from .api import RunFields as RunFields
from .api import compare as compare
from .api import leaderboard as leaderboard
from .api import load_rows as load_rows
from .api import run as run
from .api import table as table
from .clustering.kmeans import fit_kmeans as fit_kmeans
from .conformance import conformance_tests as conformance_tests
from .data import Dataset as Dataset
from .data import FileImages as FileImages
from .data import Images as Images
from .data import Split as Split
from .data import make_dataset as make_dataset
from .dynamics import Dynamics as Dynamics
from .dynamics import NeverLearned as NeverLearned
from .dynamics import Score as Score
from .encoding.encoder import Encoder as Encoder
from .encoding.encoder import FittedEncoder as FittedEncoder
from .encoding.frozen import FrozenEncoder as FrozenEncoder
from .errors import BenchError as BenchError
from .errors import DataError as DataError
from .errors import SelectionError as SelectionError
from .errors import SpecError as SpecError
from .errors import WeightsError as WeightsError
from .knn import unit_rows as unit_rows
from .plugin_files import load_plugin as load_plugin
from .plugins import need as need
from .plugins import register_dataset as register_dataset
from .plugins import register_encoder as register_encoder
from .plugins import register_method as register_method
from .plugins import register_model as register_model
from .pool import Neighbors as Neighbors
from .pool import Outputs as Outputs
from .pool import Pool as Pool
from .ranking import check_budget as check_budget
from .ranking import check_finite as check_finite
from .ranking import count_hardest as count_hardest
from .ranking import fair_quotas as fair_quotas
from .ranking import hard_to_easy as hard_to_easy
from .ranking import hardest as hardest
from .recipe import Recipe as Recipe
from .results.rows import read_rows as read_rows

__version__: str
