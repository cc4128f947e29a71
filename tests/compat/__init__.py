"""Code written for earlier releases, which must run unchanged."""
