"""The encoder tagger's training: needs the extra ``encoder`` (torch, transformers, onnx)."""
