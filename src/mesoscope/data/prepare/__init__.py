"""Public sets made into data sets of faces: ``mesoscope prepare``.

:func:`prepare` plans (``plan.py``), takes item after item through reading, finding, choosing,
cropping and writing (``work.py``, ``choice.py``), keeps what is done (``ledger.py``) and writes it
up (``run.py``, ``census.py``).
"""

from mesoscope.data.prepare.plan import PrepareOptions, PreparePlan, make_plan
from mesoscope.data.prepare.run import Prepared, prepare

__all__ = ["PrepareOptions", "PreparePlan", "Prepared", "make_plan", "prepare"]
