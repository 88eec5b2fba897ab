// SPDX-License-Identifier: Apache-2.0
//
// One Init for each group of calls; each lists its methods on a separate object.
#ifndef LUO_NATIVE_GROUPS_H
#define LUO_NATIVE_GROUPS_H

#include <napi.h>

Napi::Object InitLiveUpdate(Napi::Env env);
Napi::Object InitMemory(Napi::Env env);
void InitDigest(Napi::Env env, Napi::Object memory);
void InitHugePages(Napi::Env env, Napi::Object memory);
void InitProgramPages(Napi::Env env, Napi::Object memory);
Napi::Object InitDescriptors(Napi::Env env);
Napi::Object InitSockets(Napi::Env env);
void InitMessages(Napi::Env env, Napi::Object sockets);
void InitRecord(Napi::Env env, Napi::Object sockets);
void InitPoll(Napi::Env env, Napi::Object sockets);
Napi::Object InitKernel(Napi::Env env);
void InitSync(Napi::Env env, Napi::Object kernel);
Napi::Object InitServiceManager(Napi::Env env);

#endif
