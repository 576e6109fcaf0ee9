"""Who stays hears everything once, while others come and go; beside it, in the same run, the real `channels_redis`."""

import asyncio
import unittest

from layer import churn

SECONDS = 4


class Churn(unittest.IsolatedAsyncioTestCase):
    async def test_roomful_loses_nothing_and_doubles_nothing(self):
        asyncio.get_running_loop().slow_callback_duration = 5
        measured = [figures async for figures in churn.everything(SECONDS)]
        # Of the other layer, the figures are told and not judged.
        print("\n" + churn.table(measured))
        for figures in measured:
            if figures.layer.startswith("Roomful"):
                with self.subTest(figures.layer, round_trip_ms=round(figures.round_trip_ms)):
                    self.assertEqual((figures.lost, figures.doubled), (0, 0))
                    if figures.comings_a_second:
                        self.assertGreater(figures.comings_a_second, churn.COMINGS_A_SECOND / 2, "it was a churn")


if __name__ == "__main__":
    unittest.main()
