"""What a run has left unfinished is finished, whatever became of the run."""
