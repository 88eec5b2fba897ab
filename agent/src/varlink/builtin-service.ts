// SPDX-License-Identifier: Apache-2.0
/**
 * `org.varlink.service`: what every Varlink service says about itself (https://varlink.org/Service).
 */
import { array, object, strictObject, string } from 'valibot';
import { createService, type Service } from './definition.ts';
import { serviceError } from './errors.ts';

/** Who is speaking, for `GetInfo`. */
export interface ServiceInfo {
  readonly vendor: string;
  readonly product: string;
  readonly version: string;
  readonly url: string;
}

const description = `# What every Varlink service says about itself.
interface org.varlink.service

# Who this is, and which interfaces it has.
method GetInfo() -> (vendor: string, product: string, version: string, url: string, interfaces: []string)

# The description of one interface.
method GetInterfaceDescription(interface: string) -> (description: string)

error InterfaceNotFound(interface: string)
error MethodNotFound(method: string)
error MethodNotImplemented(method: string)
error InvalidParameter(parameter: string)
error PermissionDenied()
error ExpectedMore()

# A fault of the service itself, told in its log.
error InternalError(method: string)
`;

const definition = {
  name: 'org.varlink.service',
  description,
  methods: {
    GetInfo: {
      parameters: strictObject({}),
      reply: object({
        vendor: string(),
        product: string(),
        version: string(),
        url: string(),
        interfaces: array(string()),
      }),
      streaming: 'no',
    },
    GetInterfaceDescription: {
      parameters: strictObject({ interface: string() }),
      reply: object({ description: string() }),
      streaming: 'no',
    },
  },
  errors: {},
} as const;

/** @param others the interfaces served beside this one */
export function createBuiltinService(info: ServiceInfo, others: readonly Service[]): Service {
  const service: Service = createService(definition, {
    GetInfo: async () => {
      const { vendor, product, version, url } = info;
      const names = [service, ...others].map((each) => each.definition.name).sort();
      return { vendor, product, version, url, interfaces: names };
    },
    GetInterfaceDescription: async ({ interface: name }) => {
      const found = [service, ...others].find((each) => each.definition.name === name);
      if (found === undefined) throw serviceError.interfaceNotFound(name);
      return { description: found.definition.description };
    },
  });
  return service;
}
