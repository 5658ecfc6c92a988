"""The addon on a real Immich, watched through Immich's own HTTP API: `make e2e`."""
