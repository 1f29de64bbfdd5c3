using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.ServiceDefaults.Tests;

public sealed class ServerCertificateTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2030, 1, 1, 0, 0, 0, TimeSpan.Zero));

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Without_files_a_certificate_is_made_once_and_kept()
    {
        var first = SelfSigned().Current;
        var second = SelfSigned().Current;

        Assert.Equal(first.Thumbprint, second.Thumbprint);
        Assert.True(first.HasPrivateKey);
        Assert.NotNull(first.GetECDsaPublicKey());
        Assert.True(first.MatchesHostname("mx.example.org"));
        Assert.True(first.MatchesHostname("192.0.2.1"));
        Assert.True(first.MatchesHostname("2001:db8::1"));
        Assert.True(first.MatchesHostname("localhost"));
        Assert.True(first.MatchesHostname("127.0.0.1"));
    }

    [Fact]
    public void Only_the_owner_can_read_the_key_that_is_made()
    {
        _ = SelfSigned().Current;

        if (!OperatingSystem.IsWindows())
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(_folder["key.pem"]));
        Assert.Equal(["certificate.pem", "key.pem", "lock"], Directory.GetFiles(_folder.Path).Select(Path.GetFileName).Order());
    }

    [Fact]
    public async Task Processes_that_start_together_on_one_folder_end_up_with_one_certificate()
    {
        var certificates = await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => Task.Run(() => SelfSigned().Current.Thumbprint)));

        Assert.Single(certificates.Distinct());
    }

    [Fact]
    public void Halves_of_two_pairs_are_replaced()
    {
        var (certificate, _) = SelfSignedCertificate.Create(["mx.example.org"], _time.GetUtcNow());
        var (_, key) = SelfSignedCertificate.Create(["mx.example.org"], _time.GetUtcNow());
        File.WriteAllText(_folder["certificate.pem"], certificate);
        File.WriteAllText(_folder["key.pem"], key);

        Assert.True(SelfSigned().Current.HasPrivateKey);
    }

    [Fact]
    public void A_self_signed_certificate_near_its_end_is_replaced_in_the_running_server()
    {
        var certificate = SelfSigned();
        var first = certificate.Current;

        _time.Advance(first.NotAfter.ToUniversalTime() - _time.GetUtcNow().UtcDateTime - TimeSpan.FromDays(31));
        Assert.Equal(first.Thumbprint, certificate.Current.Thumbprint);
        _time.Advance(TimeSpan.FromDays(2));
        Assert.NotEqual(first.Thumbprint, certificate.Current.Thumbprint);
    }

    [Fact]
    public void A_renewed_file_is_used_without_a_restart()
    {
        var before = WriteFiles("one.example.org");
        var certificate = FromFiles();
        Assert.Equal(before, certificate.Current.Thumbprint);

        var after = WriteFiles("two.example.org", olderBy: TimeSpan.FromHours(-1));
        Assert.Equal(before, certificate.Current.Thumbprint);
        _time.Advance(TimeSpan.FromSeconds(11));
        Assert.Equal(after, certificate.Current.Thumbprint);
    }

    [Fact]
    public void Half_a_renewal_leaves_the_certificate_before_it_in_use_until_it_is_whole()
    {
        var before = WriteFiles("one.example.org");
        var certificate = FromFiles();
        Assert.Equal(before, certificate.Current.Thumbprint);
        var oldKey = File.ReadAllText(_folder["server.key"]);

        var after = WriteFiles("two.example.org", olderBy: TimeSpan.FromHours(-1));
        var newKey = File.ReadAllText(_folder["server.key"]);
        File.WriteAllText(_folder["server.key"], oldKey);
        _time.Advance(TimeSpan.FromSeconds(11));
        Assert.Equal(before, certificate.Current.Thumbprint);

        File.WriteAllText(_folder["server.key"], newKey);
        _time.Advance(TimeSpan.FromSeconds(11));
        Assert.Equal(after, certificate.Current.Thumbprint);
    }

    [Fact]
    public void Certificate_and_key_may_be_one_file()
    {
        var thumbprint = WriteFiles("one.example.org");
        File.AppendAllText(_folder["server.crt"], File.ReadAllText(_folder["server.key"]));

        var certificate = Create(new TlsOptions { CertificatePath = _folder["server.crt"] });

        Assert.Equal(thumbprint, certificate.Current.Thumbprint);
    }

    [Fact]
    public void A_missing_file_names_the_setting()
    {
        var certificate = Create(new TlsOptions { CertificatePath = _folder["nothing.crt"] });

        var failure = Assert.Throws<ServerCertificateException>(() => certificate.Current);
        Assert.Contains("Tls:CertificatePath", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task It_serves_a_handshake()
    {
        var server = SelfSigned();
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var client = new TcpClient();
        await client.ConnectAsync((IPEndPoint)listener.LocalEndpoint, TestContext.Current.CancellationToken);
        using var accepted = await listener.AcceptTcpClientAsync(TestContext.Current.CancellationToken);

        await using var serverSide = new SslStream(accepted.GetStream());
        await using var clientSide = new SslStream(client.GetStream());
        var serving = serverSide.AuthenticateAsServerAsync(
            new SslServerAuthenticationOptions { ServerCertificateContext = server.CurrentContext }, TestContext.Current.CancellationToken);
        X509Certificate? shown = null;
        await clientSide.AuthenticateAsClientAsync(
            new SslClientAuthenticationOptions
            {
                TargetHost = "mx.example.org",
                RemoteCertificateValidationCallback = (_, certificate, _, _) => (shown = certificate) is not null,
            },
            TestContext.Current.CancellationToken);
        await serving;

        Assert.Equal(server.Current.GetCertHashString(), shown!.GetCertHashString());
        Assert.Equal(SslProtocols.Tls13, clientSide.SslProtocol);
    }

    private ServerCertificate SelfSigned() =>
        Create(new TlsOptions { SelfSignedDirectory = _folder.Path, HostNames = ["mx.example.org", "[192.0.2.1]", "[IPv6:2001:db8::1]"] });

    private ServerCertificate FromFiles() =>
        Create(new TlsOptions { CertificatePath = _folder["server.crt"], KeyPath = _folder["server.key"] });

    private ServerCertificate Create(TlsOptions options) =>
        new(Options.Create(options), _time, NullLogger<ServerCertificate>.Instance);

    /// <summary>Writes a pair and returns its thumbprint. File times are set, since two writes can fall into one tick of the clock.</summary>
    private string WriteFiles(string hostName, TimeSpan olderBy = default)
    {
        var (certificate, key) = SelfSignedCertificate.Create([hostName], _time.GetUtcNow());
        File.WriteAllText(_folder["server.crt"], certificate);
        File.WriteAllText(_folder["server.key"], key);
        File.SetLastWriteTimeUtc(_folder["server.crt"], new DateTime(2030, 1, 1, 12, 0, 0, DateTimeKind.Utc) - olderBy);
        using var parsed = X509Certificate2.CreateFromPem(certificate);
        return parsed.Thumbprint;
    }
}
