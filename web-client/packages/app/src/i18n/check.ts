/** The sentences of the page `/check`: English, Russian, Ukrainian. The catalogues take them in. */
export const checkEn = {
  "check.title": "Connection check",
  "check.intro":
    "Looks at everything a call needs: this browser, your devices, and the way to the server. It takes half a minute.",
  "check.signIn": "Signed in, it can look at more.",
  "check.start": "Start the check",
  "check.again": "Check again",
  "check.running": "Checking…",
  "check.copy": "Copy the result",
  "check.copied": "Copied",
  "check.download": "Save as a file",
  "check.verdict.ok": "Everything is ready for calls.",
  "check.verdict.warning": "Calls will work, but not as well as they could. Send the result to your administrator.",
  "check.verdict.fault":
    "Something keeps you from calls. Do what it says above, or send the result to your administrator.",
  "check.step.page": "This browser",
  "check.step.mic": "Microphone",
  "check.step.camera": "Camera",
  "check.step.server": "Server",
  "check.step.socket": "Live connection (WebSocket)",
  "check.step.udp": "Media by UDP",
  "check.step.tcp": "Media by TCP",
  "check.step.turnUdp": "Relay (TURN) by UDP",
  "check.step.turnTcp": "Relay (TURN) by TCP",
  "check.step.turnTls": "Relay (TURN) by TLS",
  "check.step.bandwidth": "Speed",
  "check.page.ok": "It can make calls.",
  "check.page.insecure":
    "This address is not https, so the browser gives no microphone and no camera. Ask your administrator for the secure address.",
  "check.page.noWebRtc": "It has no WebRTC, or an extension has switched it off. Take another browser.",
  "check.device.ok": "It works: {name}",
  "check.server.ok": "It answers within {ms} ms.",
  "check.server.unready": "It answers, but cannot serve now. Try again in a minute, then tell your administrator.",
  "check.server.gone": "It does not answer. Check your network, then tell your administrator.",
  "check.socket.ok": "It is there within {ms} ms.",
  "check.socket.refused":
    "It is refused: a proxy on the way does not let WebSockets pass. Administrator: pass the Upgrade header to the server.",
  "check.socket.silent": "It opens, but nothing comes through. A proxy on the way holds it back.",
  "check.socket.signedOut": "The server does not know this session any more. Sign in again.",
  "check.needsSignIn": "Sign in to look at this.",
  "check.needsSocket": "It needs the live connection.",
  "check.untold": "The server names no address to try.",
  "check.udp.ok": "It gets through: the best way for a call.",
  "check.udp.blocked":
    "It does not get through: a firewall blocks it. Calls go by TCP if they can, with smaller pictures. Administrator: open the server's UDP port.",
  "check.tcp.ok": "It gets through, in case UDP does not.",
  "check.tcp.blocked": "It does not get through. Administrator: open the server's TCP port for media.",
  "check.turn.ok": "The relay answers.",
  "check.turn.refused":
    "The relay refuses its password. Administrator: compare the TURN secret (turn.external_secret) and the clocks of both servers.",
  "check.turn.unreached":
    "The relay is not reached. Administrator: look at its address and port, and for TLS at its certificate.",
  "check.turn.untold.udp":
    "The server offers none: behind strict firewalls there is no way. Administrator: set turn.enabled.",
  "check.turn.untold.tcp":
    "The server offers none: where UDP is blocked, fewer people get through. Administrator: set media.tcp.",
  "check.turn.untold.tls":
    "The server offers none: networks that let only https pass stay closed. Administrator: give it a certificate (tls.mode files or acme).",
  "check.bandwidth.ok": "{down} Mbit/s down, {up} Mbit/s up: enough for pictures.",
  "check.bandwidth.low":
    "{down} Mbit/s down, {up} Mbit/s up: little for pictures. Move nearer to the Wi-Fi, use a cable, or end other downloads.",
  "check.bandwidth.failed": "It could not be measured.",
} as const;

export const checkRu = {
  "check.title": "Проверка связи",
  "check.intro": "Проверяет всё, что нужно для звонка: браузер, устройства и путь к серверу. Это займёт полминуты.",
  "check.signIn": "После входа проверится больше.",
  "check.start": "Начать проверку",
  "check.again": "Проверить ещё раз",
  "check.running": "Проверяем…",
  "check.copy": "Скопировать результат",
  "check.copied": "Скопировано",
  "check.download": "Сохранить в файл",
  "check.verdict.ok": "Всё готово к звонкам.",
  "check.verdict.warning": "Звонки будут работать, но хуже, чем могли бы. Отправьте результат администратору.",
  "check.verdict.fault":
    "Что-то мешает звонкам. Сделайте то, что написано выше, или отправьте результат администратору.",
  "check.step.page": "Браузер",
  "check.step.mic": "Микрофон",
  "check.step.camera": "Камера",
  "check.step.server": "Сервер",
  "check.step.socket": "Постоянное соединение (WebSocket)",
  "check.step.udp": "Медиа по UDP",
  "check.step.tcp": "Медиа по TCP",
  "check.step.turnUdp": "Ретранслятор (TURN) по UDP",
  "check.step.turnTcp": "Ретранслятор (TURN) по TCP",
  "check.step.turnTls": "Ретранслятор (TURN) по TLS",
  "check.step.bandwidth": "Скорость",
  "check.page.ok": "Может звонить.",
  "check.page.insecure":
    "Адрес не https, поэтому браузер не даёт микрофон и камеру. Попросите у администратора защищённый адрес.",
  "check.page.noWebRtc": "В нём нет WebRTC, или его отключило расширение. Возьмите другой браузер.",
  "check.device.ok": "Работает: {name}",
  "check.server.ok": "Отвечает за {ms} мс.",
  "check.server.unready":
    "Отвечает, но сейчас не может работать. Попробуйте через минуту, затем сообщите администратору.",
  "check.server.gone": "Не отвечает. Проверьте сеть, затем сообщите администратору.",
  "check.socket.ok": "Установлено за {ms} мс.",
  "check.socket.refused":
    "Отклонено: прокси на пути не пропускает WebSocket. Администратору: передавайте серверу заголовок Upgrade.",
  "check.socket.silent": "Открывается, но данные не проходят. Их задерживает прокси на пути.",
  "check.socket.signedOut": "Сервер больше не знает этот сеанс. Войдите снова.",
  "check.needsSignIn": "Войдите, чтобы это проверить.",
  "check.needsSocket": "Для этого нужно постоянное соединение.",
  "check.untold": "Сервер не назвал адреса для проверки.",
  "check.udp.ok": "Проходит: это лучший путь для звонка.",
  "check.udp.blocked":
    "Не проходит: его блокирует межсетевой экран. Звонки пойдут по TCP, если смогут, с меньшей картинкой. Администратору: откройте UDP-порт сервера.",
  "check.tcp.ok": "Проходит, на случай если UDP не пройдёт.",
  "check.tcp.blocked": "Не проходит. Администратору: откройте TCP-порт сервера для медиа.",
  "check.turn.ok": "Ретранслятор отвечает.",
  "check.turn.refused":
    "Ретранслятор не принимает пароль. Администратору: сравните секрет TURN (turn.external_secret) и часы обоих серверов.",
  "check.turn.unreached":
    "Ретранслятор недоступен. Администратору: проверьте его адрес и порт, а для TLS – сертификат.",
  "check.turn.untold.udp":
    "Сервер его не предлагает: за строгим межсетевым экраном пути нет. Администратору: включите turn.enabled.",
  "check.turn.untold.tcp":
    "Сервер его не предлагает: где UDP закрыт, пройдут не все. Администратору: включите media.tcp.",
  "check.turn.untold.tls":
    "Сервер его не предлагает: сети, пропускающие только https, останутся закрыты. Администратору: нужен сертификат (tls.mode files или acme).",
  "check.bandwidth.ok": "{down} Мбит/с вниз, {up} Мбит/с вверх: хватит для видео.",
  "check.bandwidth.low":
    "{down} Мбит/с вниз, {up} Мбит/с вверх: мало для видео. Подойдите ближе к Wi-Fi, возьмите кабель или остановите другие загрузки.",
  "check.bandwidth.failed": "Измерить не удалось.",
} as const;

export const checkUk = {
  "check.title": "Перевірка зв'язку",
  "check.intro":
    "Перевіряє все, що потрібно для дзвінка: браузер, пристрої та шлях до сервера. Це триватиме пів хвилини.",
  "check.signIn": "Після входу перевіриться більше.",
  "check.start": "Почати перевірку",
  "check.again": "Перевірити ще раз",
  "check.running": "Перевіряємо…",
  "check.copy": "Скопіювати результат",
  "check.copied": "Скопійовано",
  "check.download": "Зберегти у файл",
  "check.verdict.ok": "Усе готово до дзвінків.",
  "check.verdict.warning": "Дзвінки працюватимуть, але гірше, ніж могли б. Надішліть результат адміністратору.",
  "check.verdict.fault": "Щось заважає дзвінкам. Зробіть те, що написано вище, або надішліть результат адміністратору.",
  "check.step.page": "Браузер",
  "check.step.mic": "Мікрофон",
  "check.step.camera": "Камера",
  "check.step.server": "Сервер",
  "check.step.socket": "Постійне з'єднання (WebSocket)",
  "check.step.udp": "Медіа через UDP",
  "check.step.tcp": "Медіа через TCP",
  "check.step.turnUdp": "Ретранслятор (TURN) через UDP",
  "check.step.turnTcp": "Ретранслятор (TURN) через TCP",
  "check.step.turnTls": "Ретранслятор (TURN) через TLS",
  "check.step.bandwidth": "Швидкість",
  "check.page.ok": "Може дзвонити.",
  "check.page.insecure":
    "Адреса не https, тому браузер не дає мікрофон і камеру. Попросіть в адміністратора захищену адресу.",
  "check.page.noWebRtc": "У ньому немає WebRTC, або його вимкнуло розширення. Візьміть інший браузер.",
  "check.device.ok": "Працює: {name}",
  "check.server.ok": "Відповідає за {ms} мс.",
  "check.server.unready":
    "Відповідає, але зараз не може працювати. Спробуйте за хвилину, потім повідомте адміністратора.",
  "check.server.gone": "Не відповідає. Перевірте мережу, потім повідомте адміністратора.",
  "check.socket.ok": "Встановлено за {ms} мс.",
  "check.socket.refused":
    "Відхилено: проксі на шляху не пропускає WebSocket. Адміністраторові: передавайте серверу заголовок Upgrade.",
  "check.socket.silent": "Відкривається, але дані не проходять. Їх затримує проксі на шляху.",
  "check.socket.signedOut": "Сервер більше не знає цього сеансу. Увійдіть знову.",
  "check.needsSignIn": "Увійдіть, щоб це перевірити.",
  "check.needsSocket": "Для цього потрібне постійне з'єднання.",
  "check.untold": "Сервер не назвав адреси для перевірки.",
  "check.udp.ok": "Проходить: це найкращий шлях для дзвінка.",
  "check.udp.blocked":
    "Не проходить: його блокує брандмауер. Дзвінки підуть через TCP, якщо зможуть, з меншою картинкою. Адміністраторові: відкрийте UDP-порт сервера.",
  "check.tcp.ok": "Проходить, на випадок якщо UDP не пройде.",
  "check.tcp.blocked": "Не проходить. Адміністраторові: відкрийте TCP-порт сервера для медіа.",
  "check.turn.ok": "Ретранслятор відповідає.",
  "check.turn.refused":
    "Ретранслятор не приймає пароль. Адміністраторові: порівняйте секрет TURN (turn.external_secret) і годинники обох серверів.",
  "check.turn.unreached":
    "Ретранслятор недоступний. Адміністраторові: перевірте його адресу й порт, а для TLS – сертифікат.",
  "check.turn.untold.udp":
    "Сервер його не пропонує: за суворим брандмауером шляху немає. Адміністраторові: увімкніть turn.enabled.",
  "check.turn.untold.tcp":
    "Сервер його не пропонує: де UDP закрито, пройдуть не всі. Адміністраторові: увімкніть media.tcp.",
  "check.turn.untold.tls":
    "Сервер його не пропонує: мережі, що пропускають лише https, лишаться закриті. Адміністраторові: потрібен сертифікат (tls.mode files або acme).",
  "check.bandwidth.ok": "{down} Мбіт/с униз, {up} Мбіт/с угору: вистачить для відео.",
  "check.bandwidth.low":
    "{down} Мбіт/с униз, {up} Мбіт/с угору: замало для відео. Підійдіть ближче до Wi-Fi, візьміть кабель або зупиніть інші завантаження.",
  "check.bandwidth.failed": "Виміряти не вдалося.",
} as const;
