"""A job prepared by all workers: worker 0 first, and compared before any of them trains."""

from kerasnets.runtime.chosen import BACKEND as BACKEND

import dataclasses
import json
from pathlib import Path
from typing import Any

from kerasnets.data import index_files
from kerasnets.data.streams import Pictures
from kerasnets.runtime import provenance
from kerasnets.runtime.digests import sha256
from kerasnets.training import checkpoints, jobs, places
from kerasnets.training.jobs import TrainingJob
from kerasnets.training.request import Request
from kerasnets.training.workers import Group


def prepare(request: Request, group: Group) -> TrainingJob:
    """Return the job of a request; of several workers, worker 0 prepares it first, for the others to find its data."""
    names = [] if group.leads else group.exchange(None)[0]
    job = jobs.prepare(request)
    if not group.leads:
        job = dataclasses.replace(job, files=[Path(name) for name in names])
    elif group.meeting:
        keep_index(job)
        group.exchange([str(path) for path in job.files])
    if group.leads and group.place.most_restarts:
        job.folder.mkdir(parents=True, exist_ok=True)
        (job.folder / places.LAUNCH).write_text(group.place.launch)
    group.check_same(facts_of(job) if group.meeting else {}, checkpoints.DIFFERENCES)
    return job


def facts_of(job: TrainingJob) -> dict[str, Any]:
    """Return what must be the same on all workers."""
    initial = sha256(*job.network.get_weights())
    epochs, minutes = job.recipe.epochs, job.checkpoint_minutes
    facts = {**provenance.versions(), **job.settings, "epochs": epochs, "weights": initial, "minutes": minutes}
    return dict(json.loads(json.dumps(facts)))  # as they arrive


def keep_index(job: TrainingJob) -> None:
    """Write the index of streamed pictures into the job's folder, where a later run finds it."""
    images = job.data.train_images
    if isinstance(images, Pictures):
        index_files.save(images.index, job.folder / index_files.NAME)
