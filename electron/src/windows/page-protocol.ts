// SPDX-License-Identifier: Apache-2.0
/** Registers the scheme under which the interface is served; see page-files.ts for what is served. */
import { protocol, type Session } from 'electron';
import { pageScheme } from './content-policy.ts';
import { answerPageRequest } from './page-files.ts';

/** Makes the scheme a full origin of its own. To be called before the application is ready. */
export function declarePageScheme(): void {
  const privileges = { standard: true, secure: true, supportFetchAPI: true, codeCache: true };
  protocol.registerSchemesAsPrivileged([{ scheme: pageScheme, privileges }]);
}

/** Serves `folder` in `session`. Once the application is ready. */
export function servePages(session: Session, folder: string): void {
  session.protocol.handle(pageScheme, (request) => answerPageRequest(folder, request));
}
