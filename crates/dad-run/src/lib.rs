//! Run directories: identity, journal, artifacts, lease, re-run plan and the catalogue of runs
