"""FAMILIES: name -> family. Nothing else."""

from denram.train.models import delays

FAMILIES = {"delays": delays}
