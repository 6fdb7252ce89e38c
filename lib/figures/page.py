"""What all figures share: sizes, colours, style, and a page to draw on.

Lengths are inches unless heatmap or image pixels are named. Captions are drawn as they are: a ``$``
in one starts no formula.
"""

from io import BytesIO

import matplotlib
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

WIDTH = 5.2  # of a figure: on a phone, 350 pixels of a screen
DPI = 220  # 1144 pixels: sharp on most screens, and a grid is 0.5 to 1 MB
FONT = 10  # points, which are 9 pixels on a phone
GROUND, LIGHT = "#1b2130", "0.95"  # behind and of the letters above poses

BLUE, ORANGE, _, RED = sns.color_palette("colorblind", 4)
PALE = sns.light_palette(BLUE, 10)[4]  # noise behind a line
SIZES = ("font.size", "axes.labelsize", "xtick.labelsize", "ytick.labelsize", "legend.fontsize")
STYLE = matplotlib.rc_context(  # around every function that draws; leaves no trace outside
    sns.axes_style("whitegrid")
    | dict.fromkeys(SIZES, FONT)
    | dict.fromkeys(("axes.spines.top", "axes.spines.right", "axes.formatter.useoffset"), False)
    | {"font.family": "DejaVu Sans", "grid.color": "0.9", "text.parse_math": False}
)
# Poses lie on black, so what is around them is dark: white would glare in a book's dark theme.
DARK = matplotlib.rc_context(
    {"figure.facecolor": GROUND} | dict.fromkeys(("text.color", "axes.labelcolor"), LIGHT)
)


class Page(Figure):
    """A figure that pyplot does not know, so that a notebook shows it once and not twice; it draws
    itself for IPython and for glue, whether or not a plotting backend is active."""

    def __init__(self, width: float, height: float, **options):
        super().__init__(figsize=(width, height), dpi=DPI, **options)

    def place(self, left: float, top: float, width: float, height: float) -> Axes:
        """Adds bare axes at a distance from the upper left corner."""
        across, down = self.get_size_inches()
        box = (left / across, 1 - (top + height) / down, width / across, height / down)
        ax = self.add_axes(box, xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
        return ax

    def _repr_png_(self) -> bytes:
        png = BytesIO()
        self.savefig(png, format="png", bbox_inches="tight")
        return png.getvalue()
