// SPDX-License-Identifier: Apache-2.0
/** Which command lines start the carrier. */
import { expect, it } from 'vitest';
import { carrierPath } from '../../host/carrier-places.ts';
import { startsCarrier } from './first-program.ts';

it.each([
  [`root=/dev/vda init=${carrierPath} ro`, true],
  [`init=/bin/sh init=${carrierPath}`, true],
  [`init=${carrierPath} init=/bin/sh`, false],
  [`root=/dev/vda -- init=${carrierPath}`, false],
  [`init=${carrierPath} -- init=/bin/sh`, true],
  [`rdinit=${carrierPath}`, false],
  [`init=${carrierPath}.old`, false],
  [`text="a init=${carrierPath} b"`, false],
  ['root=/dev/vda', false],
])('the first program of the next kernel is the carrier if the last init= says so: %s', (line, expected) => {
  expect(startsCarrier(line)).toBe(expected);
});
