import { describeHostile, get, HOST, refused, request, served } from './hostile-cases'

const line = (start: string): string => request(start, HOST)

// Node's parser accepts several spaces instead of one, as RFC 9112 §3 allows: the upstream gets one.
describeHostile('the request line', [
  ['nothing but a method', 'RFC 9112 §3', line('GET'), refused()],
  ['no version', 'RFC 9112 §3', line('GET /app'), refused()],
  ['no target', 'RFC 9112 §3', line('GET HTTP/1.1'), refused()],
  ['two spaces before the target', 'RFC 9112 §3', line('GET  /app HTTP/1.1'), served({ url: '/app' })],
  ['two spaces before the version', 'RFC 9112 §3', line('GET /app  HTTP/1.1'), served({ url: '/app' })],
  ['a tab in the place of a space', 'RFC 9112 §3', line('GET\t/app HTTP/1.1'), refused()],
  ['a tab before the version', 'RFC 9112 §3', line('GET /app\tHTTP/1.1'), refused()],
  ['a space at its beginning', 'RFC 9112 §3', line(' GET /app HTTP/1.1'), refused()],
  ['a space at its end', 'RFC 9112 §3', line('GET /app HTTP/1.1 '), refused()],
  ['a space within the target', 'RFC 9112 §3.2', line('GET /a pp HTTP/1.1'), refused()],
  ['a vertical tab in the place of a space', 'RFC 9112 §3', line('GET\x0b/app HTTP/1.1'), refused()],
  ['a NUL in the method', 'RFC 9110 §9.1', line('GE\0T /app HTTP/1.1'), refused()],
  ['a NUL in the version', 'RFC 9112 §2.3', line('GET /app HTTP/1.1\0'), refused()],
  ['a bare LF at its end', 'RFC 9112 §2.2', `GET /app HTTP/1.1\n${HOST}\r\n\r\n`, refused()],
  ['a bare CR at its end', 'RFC 9112 §2.2', `GET /app HTTP/1.1\r${HOST}\r\n\r\n`, refused()],
  ['bare LFs throughout', 'RFC 9112 §2.2', `GET /app HTTP/1.1\n${HOST}\n\n`, refused()],
  ['the response of somebody', 'RFC 9112 §2.1', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', refused()],
  ['TLS on the plain port', 'RFC 9112 §3', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', refused()],
  ['one empty line before it', 'RFC 9112 §2.2', `\r\n${get('/app')}`, served({ method: 'GET', url: '/app' })],
  ['some empty lines before it', 'RFC 9112 §2.2', `\r\n\r\n\r\n${get('/app')}`, served({ method: 'GET', url: '/app' })],
])

describeHostile('versions', [
  ['HTTP/0.9', 'RFC 9112 §2.3', line('GET /app HTTP/0.9'), refused()],
  ['HTTP/1.2', 'RFC 9112 §2.3', line('GET /app HTTP/1.2'), refused('version_not_supported')],
  ['HTTP/1.10', 'RFC 9112 §2.3', line('GET /app HTTP/1.10'), refused()],
  ['HTTP/2.0', 'RFC 9112 §2.3', line('GET /app HTTP/2.0'), refused('version_not_supported')],
  ['HTTP/9.9', 'RFC 9112 §2.3', line('GET /app HTTP/9.9'), refused('version_not_supported')],
  ['HTTP/1', 'RFC 9112 §2.3', line('GET /app HTTP/1'), refused()],
  ['HTTP/01.1', 'RFC 9112 §2.3', line('GET /app HTTP/01.1'), refused()],
  ['HTTP/1.', 'RFC 9112 §2.3', line('GET /app HTTP/1.'), refused()],
  ['HTTP/ 1.1', 'RFC 9112 §2.3', line('GET /app HTTP/ 1.1'), refused()],
  ['http/1.1 in lower case', 'RFC 9112 §2.3', line('GET /app http/1.1'), refused()],
  ['HTTPS/1.1', 'RFC 9112 §2.3', line('GET /app HTTPS/1.1'), refused()],
  ['ICE/1.0, which Node’s parser knows', 'RFC 9112 §2.3', line('SOURCE /app ICE/1.0'), refused('not_implemented')],
  ['RTSP/1.0, which Node’s parser knows', 'RFC 9112 §2.3', line('DESCRIBE /app RTSP/1.0'), refused('not_implemented')],
  ['the preface of HTTP/2', 'RFC 9113 §3.4', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', refused()],
])

describeHostile('methods', [
  ['one that nobody knows', 'RFC 9110 §9.1', line('FETCH /app HTTP/1.1'), refused('not_implemented')],
  ['get in lower case', 'RFC 9110 §9.1', line('get /app HTTP/1.1'), refused('not_implemented')],
  ['GET with something behind it', 'RFC 9110 §9.1', line('GETX /app HTTP/1.1'), refused('not_implemented')],
  ['GET cut short', 'RFC 9110 §9.1', line('GE /app HTTP/1.1'), refused('not_implemented')],
  ['one with a character that no method has', 'RFC 9110 §5.6.2', line('GE(T /app HTTP/1.1'), refused()],
  ['a tunnel', 'RFC 9110 §9.3.6', request('CONNECT shop.example:443 HTTP/1.1', 'Host: shop.example:443'), refused()],
  ['a tunnel to a path', 'RFC 9112 §3.2.3', line('CONNECT /app HTTP/1.1'), refused()],
  ['the whole server with a method that has none', 'RFC 9112 §3.2.4', line('GET * HTTP/1.1'), refused()],
  ['LIST', 'RFC 9110 §9.1', line('LIST /app HTTP/1.1'), refused('not_implemented')],
  ['FOO-BAR', 'RFC 9110 §9.1', line('FOO-BAR /app HTTP/1.1'), refused('not_implemented')],
  ['one of RTSP in a message of HTTP', 'RFC 9110 §9.1', line('PLAY /app HTTP/1.1'), refused('not_implemented')],
  ['PROPFIND, which is one', 'RFC 9110 §9.1', line('PROPFIND /app HTTP/1.1'), served({ method: 'PROPFIND' })],
])
