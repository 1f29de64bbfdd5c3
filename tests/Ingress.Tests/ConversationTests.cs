using System.Text.RegularExpressions;

namespace MailPipeline.Ingress.Tests;

/// <summary>One conversation from end to end, as a client of an old server has it and a person types it.</summary>
public sealed class ConversationTests
{
    [Fact]
    public async Task A_client_of_the_old_server_gets_its_replies_in_its_order()
    {
        await using var host = await IngressHost.StartAsync(new Dictionary<string, string>
        {
            ["Ingress:MaxMessageBytes"] = "15728640",
            ["Ingress:AllowCleartextAuth"] = "true",
            ["Ingress:Listeners:1:Tls"] = "None",
        });
        await using var client = await Client.OpenAsync(host.Submission);
        var transcript = """
            S: 220 mx.example.com ESMTP
            C: EHLO client.example.net
            S: 250-mx.example.com
            S: 250-ETRN
            S: 250-AUTH=LOGIN PLAIN
            S: 250-AUTH LOGIN PLAIN
            S: 250-PIPELINING
            S: 250-DSN
            S: 250-8BITMIME
            S: 250-SIZE 15728640
            S: 250-ENHANCEDSTATUSCODES
            S: 250-CHUNKING
            S: 250-FUTURERELEASE 604800 ...
            S: 250-MT-PRIORITY
            S: 250-DELIVERBY
            S: 250-LIMITS RCPTMAX=1000
            S: 250 SMTPUTF8
            C: ETRN example.org
            S: 530 5.7.0 Authentication required
            C: AUTH LOGIN
            S: 334 VXNlcm5hbWU6
            C: YW5uQGV4YW1wbGUuY29t
            S: 334 UGFzc3dvcmQ6
            C: c2VjcmV0
            S: 235 2.7.0 Authentication successful
            C: ETRN example.org
            S: 251 2.0.0 OK, no messages waiting for node example.org
            C: MAIL FROM:<ann@example.com> RET=HDRS ENVID=QQ314159 SIZE=25 BODY=8BITMIME
            S: 250 2.1.0 Ok
            C: RCPT TO:<you@example.net> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;you@example.net
            S: 250 2.1.5 Ok
            C: DATA
            S: 354 End data with <CR><LF>.<CR><LF>
            C: Subject: test
            C:
            C: Hello
            C: .
            S: 250 2.0.0 Ok: queued as ...
            C: QUIT
            S: 221 2.0.0 Bye
            """;
        foreach (var line in transcript.ReplaceLineEndings("\n").Split('\n'))
        {
            var text = line.Length > 3 ? line[3..] : "";
            if (line.StartsWith("C:", StringComparison.Ordinal))
                await client.SendAsync(text + "\r\n");
            else
                Assert.Matches($"^{Regex.Escape(text).Replace(@"\.\.\.", "[0-9A-FTZ:-]+", StringComparison.Ordinal)}$", await client.LineAsync());
        }

        await client.ExpectEndAsync();
        Assert.Equal("you@example.net", Assert.Single((await host.NextHintAsync()).Recipients));
    }
}
