"""How the trigger word is trained: material, scenes, network, fitting, calibration."""
