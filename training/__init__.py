"""Networks are trained here; nothing that runs imports it. Needs the extra `train`."""
