"""Convert public sets to data sets of face crops: ``mesoscope prepare``.

:func:`prepare` plans (``plan.py``), reads, finds, chooses, crops and writes each item (``work.py``,
``choice.py``), records finished items (``ledger.py``) and writes the manifest and summary
(``run.py``, ``writing.py``).
"""

from mesoscope.data.prepare.plan import PrepareOptions, PreparePlan, make_plan
from mesoscope.data.prepare.run import Prepared, prepare

__all__ = ["PrepareOptions", "PreparePlan", "Prepared", "make_plan", "prepare"]
