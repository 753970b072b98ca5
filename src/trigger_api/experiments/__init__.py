"""Measurements that train."""
