using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using MailPipeline.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace MailPipeline.Queue.Tests;

/// <summary>A page that events are posted to: it notes each post, and answers as the test says.</summary>
internal sealed class WebhookReceiver : IAsyncDisposable
{
    private readonly WebApplication _app;

    private WebhookReceiver(int port)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        Url = $"http://127.0.0.1:{port}/events";
        builder.WebHost.UseUrls($"http://127.0.0.1:{port}");
        _app = builder.Build();
        _app.MapPost("/{path}", TakeAsync);
    }

    public string Url { get; }

    public ConcurrentQueue<WebhookPost> Posts { get; } = [];

    /// <summary>What follows a post, by its number from 0.</summary>
    public Func<int, WebhookPost, HttpContext, Task> Answer { get; set; } = (_, _, _) => Task.CompletedTask;

    /// <summary>Of posts that were answered with 2xx, in the order in which they came.</summary>
    public ConcurrentQueue<JsonElement> Taken { get; } = [];

    public static async Task<WebhookReceiver> StartAsync()
    {
        var receiver = new WebhookReceiver(FreePorts.Next());
        await receiver._app.StartAsync();
        return receiver;
    }

    public static Func<int, WebhookPost, HttpContext, Task> With(int status) => (_, _, context) =>
    {
        context.Response.StatusCode = status;
        return Task.CompletedTask;
    };

    public async ValueTask DisposeAsync()
    {
        using var now = new CancellationTokenSource();
        await now.CancelAsync();
        await _app.StopAsync(now.Token);
        await _app.DisposeAsync();
    }

    private async Task TakeAsync(HttpContext context)
    {
        using var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body, context.RequestAborted);
        var post = new WebhookPost(
            context.Request.Path, context.Request.Headers["webhook-id"]!, context.Request.Headers["webhook-timestamp"]!, context.Request.Headers["webhook-signature"]!,
            context.Request.ContentType!, body.ToArray());
        var number = Posts.Count;
        Posts.Enqueue(post);
        await Answer(number, post, context);
        if (context.Response.StatusCode is >= 200 and < 300)
        {
            foreach (var one in post.Events)
                Taken.Enqueue(one);
        }
    }
}

internal sealed record WebhookPost(string Path, string Id, string Timestamp, string Signature, string ContentType, byte[] Body)
{
    public IReadOnlyList<JsonElement> Events => [.. JsonDocument.Parse(Body).RootElement.GetProperty("data").GetProperty("events").EnumerateArray()];

    public IReadOnlyList<string> EventIds => [.. Events.Select(one => one.GetProperty("id").GetString()!)];
}

/// <summary>A page whose certificate nobody vouches for.</summary>
internal sealed class TlsPage : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly X509Certificate2 _certificate;
    private int _requests;

    private TlsPage(int port)
    {
        Port = port;
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName("localhost");
        request.CertificateExtensions.Add(names.Build());
        _certificate = request.CreateSelfSigned(DateTimeOffset.UnixEpoch, new DateTimeOffset(2100, 1, 1, 0, 0, 0, TimeSpan.Zero));
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, port, listen => listen.UseHttps(_certificate)));
        _app = builder.Build();
        _app.MapPost("/{path}", () => Interlocked.Increment(ref _requests));
    }

    public int Port { get; }

    public int Requests => Volatile.Read(ref _requests);

    public static async Task<TlsPage> StartAsync()
    {
        var page = new TlsPage(FreePorts.Next());
        await page._app.StartAsync();
        return page;
    }

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync();
        await _app.DisposeAsync();
        _certificate.Dispose();
    }
}
