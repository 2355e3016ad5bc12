extension Origin {
    /// Asks one base URL, and whoever it redirects to.
    ///
    /// - Parameter settle: is called with the status of the first answer.
    func follow(
        _ request: OriginRequest,
        from base: Int,
        _ settle: (Int) -> Void
    ) async throws -> OriginResponse {
        let url = bases[base].appending(request.target)
        var trail = RedirectTrail(from: url, limit: settings.redirects)
        while true {
            let response = try await ask(trail.url, request, base, isAtHome: trail.isAtHome)
            if !trail.isRedirected { settle(response.head.status) }
            guard !request.isForwarded, let reference = response.head.redirection else { return response }
            response.exchange.discard()
            try trail.follow(reference)
        }
    }

    private func ask(
        _ url: OriginURL,
        _ request: OriginRequest,
        _ base: Int,
        isAtHome: Bool
    ) async throws -> OriginResponse {
        let addresses = try await allowedAddresses(url, isAtHome: isAtHome)
        let isTrusted = isAtHome && url.origin == settings.baseURL.origin
        let secrets = isTrusted ? try await headers.fields() : [:]
        let response = try await ask(url, at: addresses, request, secrets, base)
        guard isTrusted, [401, 403].contains(response.head.status) else { return response }
        // They may have been replaced since they were read.
        do {
            guard try await headers.areRenewed(since: secrets), request.mayRepeat(wasSent: true) else {
                return response
            }
            response.exchange.discard()
            return try await ask(url, at: addresses, request, try await headers.fields(), base)
        } catch {
            response.exchange.cancel()
            throw error
        }
    }

    private func ask(
        _ url: OriginURL,
        at addresses: [IPAddress],
        _ request: OriginRequest,
        _ secrets: HeaderFields,
        _ base: Int
    ) async throws -> OriginResponse {
        var fields = request.fields
        fields.replace(with: secrets)
        let place = ConnectionSlots.Place(host: url.origin.host, port: url.origin.port)
        let slot: ConnectionSlot
        do {
            slot = try await clients.slots.slot(at: place, within: settings.firstByteTimeout)
        } catch {
            metrics.count(HTTPMetrics.Outcome(error))
            throw error
        }
        var failure: any Error = OriginFailure(.unreachable)
        var isFresh = false
        var rest = addresses.prefix(policy.mostAddresses)
        while let address = rest.popFirst() {
            try Task.checkCancellation()
            let client = try clients.client(for: url.origin.host, at: address)
            let exchange = OriginExchange(client, slot)
            do {
                let response = try await send(request, fields, to: url, base, exchange)
                client.noteAnswer()
                return response
            } catch {
                exchange.cancel()
                metrics.count(HTTPMetrics.Outcome(error))
                // A connection that was kept may have been dead, and so may all that were kept: once more on a new one.
                if !isFresh, client.mayKeepConnections, (error as? OriginFailure)?.kind == .broken,
                    request.mayRepeat(wasSent: true)
                {
                    isFresh = true
                    clients.leave(client, of: url.origin.host, at: address)
                    rest = [address] + rest
                    continue
                }
                guard let error = error as? OriginFailure, [.unreachable, .connectTimedOut].contains(error.kind) else {
                    throw error
                }
                resolver.demote(address, of: url.origin.host)
                failure = error
            }
        }
        throw failure
    }

    private func send(
        _ request: OriginRequest,
        _ fields: HeaderFields,
        to url: OriginURL,
        _ base: Int,
        _ exchange: OriginExchange
    ) async throws -> OriginResponse {
        let (start, asked) = (ContinuousClock.now, Timestamp.now())
        let head = try await exchange.send(url, request, fields, within: settings.firstByteTimeout)
        metrics.observeFirstByte(.now - start)
        metrics.count(HTTPMetrics.Outcome(status: head.status))
        return OriginResponse(head: head, exchange: exchange, base: base, times: (asked, .now()))
    }

    /// Where the configuration sends a request is trusted; what a redirect names must be allowed, under every address
    /// that is connected to.
    private func allowedAddresses(_ url: OriginURL, isAtHome: Bool) async throws -> [IPAddress] {
        let origin = url.origin
        if isAtHome { return try await resolver.addresses(of: origin.host) }
        if let rule = settings.addressPolicy.refusal(of: origin.host) { throw Self.refusal(rule) }
        let addresses = try await resolver.addresses(of: origin.host)
        let allowed = addresses.filter(settings.addressPolicy.allows)
        if allowed.isEmpty, let rule = addresses.lazy.compactMap(settings.addressPolicy.refusal).first {
            throw Self.refusal(rule)
        }
        return allowed
    }

    private static func refusal(_ rule: AddressPolicy.Rule) -> SourceError {
        SourceError(.forbidden, "the origin redirects to \(rule.rawValue), which allow_private_addresses may allow")
    }
}
