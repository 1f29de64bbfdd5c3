using System.Text;
using MailPipeline.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace MailPipeline.Ingress.Tests;

/// <summary>Names and passwords that no user has, with PostgreSQL as the store, which refuses what SQLite takes.</summary>
public sealed class AuthFuzzTests
{
    private const int Cases = 150;

    private static readonly byte[][] s_pieces =
    [
        "ann@example.com"u8.ToArray(), "q"u8.ToArray(), "@"u8.ToArray(), [0], [1], [0x1B], [0x7F], "\r\n"u8.ToArray(),
        // Halves of a pair of surrogates, NUL in two octets, and octets that no UTF-8 has.
        [0xED, 0xA0, 0x80], [0xED, 0xB0, 0x80], [0xC0, 0x80], [0xFF], [0xE2, 0x82],
        // Beyond the BMP, right to left, no width, not a character.
        "\U0001F600"u8.ToArray(), "\u202E"u8.ToArray(), "\u200B"u8.ToArray(), "\uFFFF"u8.ToArray(), "\u0130"u8.ToArray(),
        "' OR 1=1 --"u8.ToArray(), Encoding.ASCII.GetBytes(new string('x', 400)), Encoding.ASCII.GetBytes(new string('y', 9000)),
    ];

    private static readonly string[] s_notBase64 = ["", "=", "====", "A", "AGE", "AGEAYg=", "AGEAYg===", "!!!!", "AGE AYg==", "\u00e9", "\0", new string('A', 13_000)];

    [Fact]
    public async Task Whatever_is_said_to_AUTH_is_refused_and_harms_no_session()
    {
        await using var postgres = await PostgresServer.StartAsync();
        await using var host = await IngressHost.StartAsync(
            new Dictionary<string, string>
            {
                ["ConnectionStrings:maildb"] = await postgres.CreateDatabaseAsync() + ";Maximum Pool Size=3",
                ["Ingress:AllowCleartextAuth"] = "true",
                ["Ingress:Listeners:1:AuthMechanisms"] = "LOGIN PLAIN SCRAM-SHA-256",
                ["Ingress:AuthFailureDelay"] = "00:00:00",
                ["Ingress:MaxAuthFailures"] = "1000",
                ["Ingress:MaxErrors"] = "20",
            },
            services: services => services.AddFakeLogging());
        var seed = Environment.TickCount;
        var random = new Random(seed);
        using var end = new CancellationTokenSource();
        var others = Task.WhenAll(SendMailAsync(host, end.Token), SendMailAsync(host, end.Token));

        var client = await Client.GreetedAsync(host.Submission);
        for (var number = 0; number < Cases; number++)
        {
            var said = Compose(random);
            for (var i = 0; i < said.Count; i++)
            {
                await client.SendAsync(said[i] + "\r\n");
                var reply = await client.ReplyAsync();
                var isRight = reply is not null && (reply[0] == '5' || reply.StartsWith("454 4.7.0", StringComparison.Ordinal) || (i < said.Count - 1 && reply.StartsWith("334", StringComparison.Ordinal)));
                Assert.True(isRight, $"seed {seed}, case {number}: {string.Join(" / ", said)[..Math.Min(300, string.Join(" / ", said).Length)]}\ngot: {reply ?? "(end)"}");
                if (!reply!.StartsWith("334", StringComparison.Ordinal))
                    break;
            }

            // It goes on, or has been told why not.
            await client.SendAsync("NOOP\r\n");
            var after = await client.ReplyAsync();
            if (after?.StartsWith("421", StringComparison.Ordinal) == true)
            {
                await client.ExpectEndAsync();
                await client.DisposeAsync();
                client = await Client.GreetedAsync(host.Submission);
                continue;
            }

            Assert.True(after?.StartsWith("250", StringComparison.Ordinal), $"seed {seed}, case {number}: NOOP got {after ?? "(end)"}");
        }

        await client.DisposeAsync();
        await end.CancelAsync();
        await others;
        var lines = host.Services.GetFakeLogCollector().GetSnapshot();
        Assert.DoesNotContain(lines, line => line.Exception is not null);
        // Ten refusals a minute for the one client there is; and none of them brings a line of its own.
        var refused = lines.Where(line => line.Level >= LogLevel.Information && line.Message.StartsWith("status=refused", StringComparison.Ordinal)).ToList();
        Assert.InRange(refused.Count, 1, 40);
        Assert.DoesNotContain(refused, line => line.Message.Any(char.IsControl) || line.Message.Length > 2000);
    }

    /// <summary>What is said, line by line.</summary>
    private static List<string> Compose(Random random) => random.Next(9) switch
    {
        0 => [$"AUTH PLAIN {s_notBase64[random.Next(1, s_notBase64.Length)]}"],
        1 => ["AUTH LOGIN", s_notBase64[random.Next(s_notBase64.Length)], Encode(Text(random))],
        2 => ["AUTH PLAIN", Encode(Plain(random))],
        3 => [$"AUTH LOGIN {Encode(Text(random))}", Encode(Text(random))],
        6 => [$"AUTH SCRAM-SHA-256 {Encode(Text(random))}", Encode(Text(random))],
        7 => ["AUTH SCRAM-SHA-256", Encode([.. "n,,n="u8, .. Text(random), .. ",r="u8, .. Text(random)]), Encode(Text(random))],
        8 => ["AUTH SCRAM-SHA-256 " + Encode("n,,n=ann@example.com,r=x"u8.ToArray()), Encode([.. "c=biws,r=x"u8, .. Text(random), .. ",p="u8, .. Text(random)])],
        4 => ["AUTH LOGIN", Encode(Text(random)), Encode(Text(random))],
        _ => [$"AUTH PLAIN {Encode(Plain(random))}"],
    };

    private static byte[] Plain(Random random) => [.. random.Next(3) == 0 ? Text(random) : [], 0, .. Text(random), 0, .. Text(random)];

    private static byte[] Text(Random random)
    {
        var text = new List<byte>();
        for (var pieces = random.Next(1, 4); pieces > 0; pieces--)
            text.AddRange(s_pieces[random.Next(s_pieces.Length)]);
        return [.. text];
    }

    private static string Encode(byte[] text) => Convert.ToBase64String(text);

    /// <summary>Others' mail is taken meanwhile, always.</summary>
    private static async Task SendMailAsync(IngressHost host, CancellationToken end)
    {
        await using var client = await Client.GreetedAsync(host.Mx);
        do
            await client.MessageAsync("x: y\r\n\r\nz");
        while (!end.IsCancellationRequested);
    }
}
