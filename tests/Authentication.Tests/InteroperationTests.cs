using System.Diagnostics;
using System.Text;
using MailPipeline.Authentication.Dkim;
using MailPipeline.Authentication.Tests.Arc;
using MailPipeline.Authentication.Tests.Dkim;
using MailPipeline.Testing;

namespace MailPipeline.Authentication.Tests;

/// <summary>Other implementations: OpenDKIM and dkimpy, which verify what we sign, and sign what we verify.</summary>
public sealed class InteroperationTests : IDisposable
{
    private const string Message =
        "From: ann@example.org\r\nTo: bob@example.net,\r\n\tcarl@example.net\r\nSubject: A  subject\r\n with a fold \r\nDate: Mon, 30 Nov 2026 12:00:00 +0000\r\n"
        + "Message-ID: <0@example.org>\r\n\r\nFirst  line \r\n\r\nsecond\r\n\r\n\r\n";

    private readonly TempFolder _folder = new("dkim");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task OpenDKIM_takes_what_we_sign()
    {
        var key = DkimSigningKey.Read("example.org", "sel", DkimSigningKey.Create(DkimKeyKind.Rsa));
        var configuration = _folder.Write("opendkim.conf", $"Mode v\nSyslog no\nTestPublicKeys {_folder.Write("keys", $"{key.RecordName} {key.Record}\n")}\n");
        var signed = SigningTests.Sign(Message, 100, key);
        Assert.Contains("2048-bit key) succeeded", await OpenDkimAsync(configuration, signed), StringComparison.Ordinal);
        var changed = signed.Replace("second", "sekond", StringComparison.Ordinal);
        Assert.Contains("signature verification failed", await OpenDkimAsync(configuration, changed), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("relaxed/relaxed")]
    [InlineData("simple/simple")]
    [InlineData("relaxed/simple")]
    public async Task We_take_what_OpenDKIM_signs(string forms)
    {
        var pem = DkimSigningKey.Create(DkimKeyKind.Rsa);
        var key = DkimSigningKey.Read("example.org", "sel", pem);
        var configuration = _folder.Write(
            "opendkim.conf",
            $"Mode s\nSyslog no\nDomain example.org\nSelector sel\nKeyFile {_folder.WriteSecret("key.pem", pem)}\nCanonicalization {forms}\nRequireSafeKeys no\n");
        var output = await OpenDkimAsync(configuration, Message);
        // It shows the field that it would put in front.
        var signature = output[output.IndexOf("DKIM-Signature:", StringComparison.Ordinal)..].Trim().ReplaceLineEndings("\r\n");
        var result = await Verifying.OneAsync($"{signature}\r\n{Message}", new FakeKeys().With(key.RecordName, key.Record), now: TimeProvider.System.GetUtcNow());
        Assert.Equal((AuthenticationStatus.Pass, ""), (result.Status, result.Reason));
    }

    [Theory]
    [InlineData(DkimKeyKind.Rsa)]
    [InlineData(DkimKeyKind.Ed25519)]
    public async Task Dkimpy_takes_what_we_sign(DkimKeyKind kind)
    {
        var key = DkimSigningKey.Read("example.org", "sel", DkimSigningKey.Create(kind));
        var (code, output) = await PythonAsync("""
            d = dkim.DKIM(message)
            sys.stdout.write(str(d.verify(dnsfunc=record)))
            """, SigningTests.Sign(Message, 100, key), key.Record);
        Assert.Equal(("True", 0), (output, code));
    }

    [Theory]
    [InlineData("b'relaxed', b'relaxed'", DkimKeyKind.Rsa)]
    [InlineData("b'simple', b'simple'", DkimKeyKind.Rsa)]
    [InlineData("b'simple', b'relaxed'", DkimKeyKind.Rsa)]
    [InlineData("b'relaxed', b'simple'", DkimKeyKind.Ed25519)]
    public async Task We_take_what_dkimpy_signs(string forms, DkimKeyKind kind)
    {
        var pem = DkimSigningKey.Create(kind);
        var key = DkimSigningKey.Read("example.org", "sel", pem);
        // Of Ed25519 it wants the seed alone.
        var secret = kind == DkimKeyKind.Rsa ? pem : Convert.ToBase64String(Convert.FromBase64String(string.Concat(pem.Split('\n').Where(line => !line.StartsWith('-')).Select(line => line.Trim())))[^32..]);
        var algorithm = kind == DkimKeyKind.Rsa ? "rsa-sha256" : "ed25519-sha256";
        var (code, signature) = await PythonAsync($"""
            s = dkim.sign(message, b'sel', b'example.org', b'''{secret}''', canonicalize=({forms}), signature_algorithm=b'{algorithm}')
            sys.stdout.buffer.write(s)
            """, Message, key.Record);
        Assert.Equal(0, code);
        var result = await Verifying.OneAsync(
            signature.ReplaceLineEndings("\r\n") + Message, new FakeKeys().With(key.RecordName, key.Record), now: TimeProvider.System.GetUtcNow());
        Assert.Equal((AuthenticationStatus.Pass, algorithm), (result.Status, result.Algorithm));
    }

    [Fact]
    public async Task Dkimpy_takes_the_chain_that_we_seal()
    {
        var key = DkimSigningKey.Read("example.net", "sel", DkimSigningKey.Create(DkimKeyKind.Rsa));
        var keys = new FakeKeys().With(key.RecordName, key.Record);
        var chain = await ArcTests.SealAsync(await ArcTests.SealAsync(Message, key, keys), key, keys);
        var (code, output) = await PythonAsync("""
            a = dkim.ARC(message)
            cv, results, reason = a.verify(dnsfunc=record)
            sys.stdout.write(cv.decode() + ' ' + str(len(results)) + ' ' + str(reason))
            """, chain, key.Record);
        Assert.Equal(("pass 2 success", 0), (output, code));
    }

    [Fact]
    public async Task We_take_the_chain_that_dkimpy_seals()
    {
        var pem = DkimSigningKey.Create(DkimKeyKind.Rsa);
        var key = DkimSigningKey.Read("example.net", "sel", pem);
        var message = $"Authentication-Results: mx.example.net; spf=pass smtp.mailfrom=example.org; arc=none\r\n{Message}";
        var (code, set) = await PythonAsync($"""
            a = dkim.ARC(message)
            sys.stdout.buffer.write(b''.join(a.sign(b'sel', b'example.net', b'''{pem}''', b'mx.example.net')))
            """, message, key.Record);
        Assert.Equal(0, code);
        var result = await ArcTests.VerifyAsync(
            set.ReplaceLineEndings("\r\n") + message, new FakeKeys().With(key.RecordName, key.Record), TimeProvider.System.GetUtcNow());
        Assert.Equal((AuthenticationStatus.Pass, "example.net", 1, ""), (result.Status, result.Sealer, result.Sets, result.Reason));
    }

    private async Task<string> OpenDkimAsync(string configuration, string message)
    {
        // It reads lines as files here have them.
        var file = _folder.Write("message", message.Replace("\r\n", "\n", StringComparison.Ordinal));
        var (code, output) = await RunAsync("opendkim", "opendkim", ["-x", configuration, "-t", file], "");
        Assert.Equal(0, code);
        return output;
    }

    private Task<(int Code, string Output)> PythonAsync(string code, string message, string record)
    {
        _folder.Write("message", "");
        File.WriteAllBytes(_folder["message"], Encoding.Latin1.GetBytes(message));
        var script = _folder.Write("script.py", $"""
            import sys, dkim
            message = open({Quote(_folder["message"])}, 'rb').read()
            def record(name, timeout=5):
                return b{Quote(record)}
            {code}

            """.ReplaceLineEndings("\n"));
        return RunAsync("python3", "python3-dkim python3-nacl python3-authres", [script], "");

        static string Quote(string text) => $"'{text}'";
    }

    private static async Task<(int Code, string Output)> RunAsync(string program, string package, string[] arguments, string input)
    {
        using var process = Process.Start(new ProcessStartInfo(DebianProgram.Find(program, package), arguments)
        {
            RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true, StandardOutputEncoding = Encoding.Latin1,
        })!;
        var (output, error) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.StandardInput.BaseStream.WriteAsync(Encoding.Latin1.GetBytes(input));
        process.StandardInput.Close();
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return (process.ExitCode, await output + await error);
    }
}
