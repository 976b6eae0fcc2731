"""A script that records a run with TensorBoard's event files, written byte by byte and without TensorBoard."""

from __future__ import annotations

# An event file is of TFRecords (length, masked CRC-32C of it, data, masked CRC-32C of that), each an Event message.
SCRIPT = """
    import os, socket, struct, time, wandb

    def checksum(data):
        crc = 0xFFFFFFFF
        for byte in data:
            crc ^= byte
            for _ in range(8):
                crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        crc ^= 0xFFFFFFFF
        return struct.pack("<I", ((crc >> 15 | crc << 17 & 0xFFFFFFFF) + 0xA282EAD8) & 0xFFFFFFFF)

    def field(tag, content):
        return bytes([tag, len(content)]) + content

    def event(step, content):
        data = b"\\x09" + struct.pack("<d", time.time()) + b"\\x10" + bytes([step]) + content
        length = struct.pack("<Q", len(data))
        return length + checksum(length) + data + checksum(data)

    def scalar(tag, value):
        return field(0x2A, field(0x0A, field(0x0A, tag) + b"\\x15" + struct.pack("<f", value)))

    quiet = wandb.Settings(console="off", x_disable_stats=True)
    with wandb.init(project="recorded", id="board", settings=quiet) as run:
        os.makedirs("logs/train")
        # The SDK passes over files that are older than the run, or of another host.
        with open(f"logs/train/events.out.tfevents.{int(time.time()) + 1}.{socket.gethostname()}", "wb") as file:
            file.write(event(0, field(0x1A, b"brain.Event:2")))
            for step in range(1, 6):
                file.write(event(step, scalar(b"loss", 1 / step)))
        # What the SDK's patch of a TensorBoard writer calls.
        run._tensorboard_callback(os.path.abspath("logs/train"), save=True, root_logdir=os.path.abspath("logs"))
"""
