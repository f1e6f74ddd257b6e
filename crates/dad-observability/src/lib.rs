//! Per-run OpenTelemetry signals as files and over the network
