"""Measuring: how good is a retriever, and is the new one better?"""
