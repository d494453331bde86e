"""How a denoising network learns. The only part of the package that needs PyTorch."""
