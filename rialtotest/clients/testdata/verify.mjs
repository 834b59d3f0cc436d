// Verifies the messages in 1.json, 2.json … beside this file, as many as the argument says, with AWS's verifier.
import MessageValidator from 'sns-validator';
import { readFile } from 'node:fs/promises';

const validator = new MessageValidator(/^127\.0\.0\.1:\d+$/);
const verify = (message) => new Promise((resolve) => validator.validate(message, (error) => resolve(error)));
const asFunctionsGetIt = ({ SigningCertURL, UnsubscribeURL, ...rest }) => ({ ...rest, SigningCertUrl: SigningCertURL, UnsubscribeUrl: UnsubscribeURL });

for (let n = 1; n <= Number(process.argv[2]); n++) {
  const message = JSON.parse(await readFile(new URL(`${n}.json`, import.meta.url)));
  for (const m of [message, asFunctionsGetIt(message)]) {
    const error = await verify(m);
    if (error) throw new Error(`${n}, ${m.Type}, version ${m.SignatureVersion}: ${error.message}`);
  }
  if (!(await verify({ ...message, Message: message.Message + '!' }))) throw new Error(`${n}: a message that was changed is believed`);
  console.log(`${message.Type}, version ${message.SignatureVersion}: believed`);
}
