"""Odd input for every public function: each call ends in a sane result or in a clear error."""
