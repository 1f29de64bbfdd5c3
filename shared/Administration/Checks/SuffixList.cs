using System.Globalization;
using System.Net;
using System.Text;
using MailPipeline.Authentication.Dmarc;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.Administration;

/// <summary>The Public Suffix List: which one it is, and a newer one into a file of the operator's.</summary>
public sealed class SuffixList(TimeProvider time)
{
    public const string Home = "https://publicsuffix.org/list/public_suffix_list.dat";

    /// <summary>Ten times what it has.</summary>
    private const int MaxBytes = 4 * 1024 * 1024;

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    /// <param name="file">Empty: the one that is built in.</param>
    /// <returns><see cref="SuffixListFound"/> or <see cref="FileUnusable"/>.</returns>
    public static CheckResult Find(string file)
    {
        ArgumentNullException.ThrowIfNull(file);
        if (file.Length == 0)
            return new SuffixListFound("", PublicSuffixList.BuiltInDate, PublicSuffixList.BuiltIn.Count);
        try
        {
            var text = File.ReadAllText(file);
            if (PublicSuffixList.FaultOf(text) is { } fault)
                return new FileUnusable(file, fault);
            return new SuffixListFound(file, DateOnly.FromDateTime(File.GetLastWriteTimeUtc(file)), Read(text).Count);
        }
        catch (Exception unreadable) when (unreadable is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            return new FileUnusable(file, unreadable.Message.TrimEnd('.'));
        }
    }

    /// <summary>The list of a file.</summary>
    /// <param name="file">For which <see cref="Find"/> finds one; empty: the one that is built in.</param>
    public static PublicSuffixList Open(string file)
    {
        ArgumentNullException.ThrowIfNull(file);
        return file.Length == 0 ? PublicSuffixList.BuiltIn : Read(File.ReadAllText(file));
    }

    /// <summary>Fetches the list, looks whether it is one, and puts it into the file whole: a server that reads it meanwhile has the old one or the new one.</summary>
    /// <param name="source">By HTTPS; by HTTP from this machine alone.</param>
    /// <returns><see cref="SuffixListRenewed"/>, or why not.</returns>
    public async Task<CheckResult> RenewAsync(string file, string source, CancellationToken cancellation)
    {
        if (!Uri.TryCreate(source, UriKind.Absolute, out var uri) || !(uri.Scheme == Uri.UriSchemeHttps || (uri.Scheme == Uri.UriSchemeHttp && uri.IsLoopback)))
            return new CheckMistyped(CheckedThing.Source, source);
        string? text;
        HttpStatusCode status;
        try
        {
            (text, status) = await FetchAsync(uri, cancellation);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            return new SuffixListNotRenewed(file, source, NotRenewedCause.NoAnswer, s_patience.TotalSeconds.ToString(CultureInfo.InvariantCulture));
        }
        catch (Exception failure) when (failure is HttpRequestException or IOException)
        {
            return new SuffixListNotRenewed(file, source, NotRenewedCause.Unreachable, failure.Message.TrimEnd('.'));
        }

        if (text is null)
            return new SuffixListNotRenewed(file, source, NotRenewedCause.Status, ((int)status).ToString(CultureInfo.InvariantCulture));
        if (PublicSuffixList.FaultOf(text) is { } fault)
            return new SuffixListNotRenewed(file, source, NotRenewedCause.NoList, fault);
        try
        {
            Write(file, text);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            return new FileUnusable(file, failure.Message.TrimEnd('.'));
        }

        return new SuffixListRenewed(file, Read(text).Count, source);
    }

    /// <returns>Null with a status that is no success.</returns>
    private async Task<(string? Text, HttpStatusCode Status)> FetchAsync(Uri uri, CancellationToken cancellation)
    {
        // What is asked for by HTTPS does not come from elsewhere.
        using var handler = new SocketsHttpHandler { AllowAutoRedirect = false };
        using var client = new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan, MaxResponseContentBufferSize = MaxBytes };
        client.DefaultRequestHeaders.UserAgent.ParseAdd($"MailPipeline/{ProgramVersion.Text.Split('+', ' ')[0]}");
        using var deadline = new CancellationTokenSource(s_patience, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellation);
        using var answer = await client.GetAsync(uri, either.Token);
        return (answer.IsSuccessStatusCode ? Encoding.UTF8.GetString(await answer.Content.ReadAsByteArrayAsync(either.Token)) : null, answer.StatusCode);
    }

    private static void Write(string file, string text)
    {
        var path = Path.GetFullPath(file);
        // In the same folder: a file is renamed within its file system alone.
        var beside = $"{path}.{Guid.NewGuid():N}.new";
        try
        {
            using (var stream = new FileStream(beside, FileMode.CreateNew, FileAccess.Write))
            {
                stream.Write(Encoding.UTF8.GetBytes(text));
                stream.Flush(flushToDisk: true);
            }

            File.Move(beside, path, overwrite: true);
        }
        finally
        {
            File.Delete(beside);
        }
    }

    private static PublicSuffixList Read(string text)
    {
        using var reader = new StringReader(text);
        return PublicSuffixList.Read(reader);
    }
}
