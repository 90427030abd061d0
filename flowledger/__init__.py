"""Provision an Adobe Experience Platform dataflow from one spec file: journaled, resumable, exactly one of each."""
