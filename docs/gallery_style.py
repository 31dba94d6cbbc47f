"""The look of the gallery: one palette that color-blind readers can tell apart, and little else."""

from cycler import cycler

# Okabe & Ito (2008), in an order in which neighbours differ in lightness too.
PALETTE = ["#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#555555"]

STYLE = {
    "axes.prop_cycle": cycler(color=PALETTE),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#666666",
    "axes.labelcolor": "#222222",
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
    "figure.constrained_layout.use": True,
    "figure.dpi": 100,
    "savefig.facecolor": "white",
}


def apply(gallery_conf, fname):
    """Start every example from this style; sphinx-gallery calls this before each of them."""
    import matplotlib

    matplotlib.rcParams.update(STYLE)


class ReadingOrder:
    """The order of the examples: from one coin to a family of one's own."""

    ORDER = (
        "plot_coins.py",
        "plot_gaussian_mle.py",
        "plot_em_steps.py",
        "plot_units.py",
        "plot_weights.py",
        "plot_number_of_components.py",
        "plot_singularities.py",
        "plot_collapse.py",
        "plot_low_rank.py",
        "plot_predictive.py",
        "plot_missing.py",
        "plot_stream.py",
        "plot_ppca_digits.py",
        "plot_vae_digits.py",
        "plot_new_family.py",
    )

    def __init__(self, src_dir):
        self.src_dir = src_dir

    def __call__(self, filename):
        return self.ORDER.index(filename) if filename in self.ORDER else len(self.ORDER)

    def __repr__(self):
        return "<reading order>"
