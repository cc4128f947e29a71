"""The feed: people who follow each other, and what they post."""
