"""A Bluetooth host on a controller's serial line: reset, features, address, advertising, scanning.

Prints what it learnt as JSON. Arguments: port on the loopback interface, seconds of advertising and of scanning.
"""

import asyncio
import json
import sys

from bumble import hci
from bumble.device import Device
from bumble.transport import open_transport

ADDRESS = "C6:55:44:33:22:11"
NAME = "hyperemu"


async def main(port, seconds):
    async with await open_transport(f"tcp-client:127.0.0.1:{port}") as transport:
        device = Device.with_hci(NAME, hci.Address(ADDRESS), transport.source, transport.sink)
        heard = []
        device.on("advertisement", heard.append)
        await device.power_on()
        features = await device.send_sync_command(hci.HCI_LE_Read_Local_Supported_Features_Command())
        address = await device.send_sync_command(hci.HCI_Read_BD_ADDR_Command())
        version = await device.send_sync_command(hci.HCI_Read_Local_Version_Information_Command())
        await device.start_advertising(advertising_interval_min=100, advertising_interval_max=100)
        await asyncio.sleep(seconds)
        await device.stop_advertising()
        await device.start_scanning(legacy=True)
        await asyncio.sleep(seconds)
        await device.stop_scanning(legacy=True)
        print(
            json.dumps(
                {
                    "address": str(address.bd_addr),
                    "company": version.company_identifier,
                    "features": features.le_features.hex(),
                    "heard": len(heard),
                }
            )
        )


asyncio.run(asyncio.wait_for(main(sys.argv[1], float(sys.argv[2])), 300))
