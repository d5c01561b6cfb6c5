"""What all pages share: the frame, the pickers, the figure with its foot line, the states, the few own components."""
